"""``POST …/info/lfs/objects/batch``: return the URLs for uploading or downloading objects."""

from __future__ import annotations

from typing import Literal

from starlette.types import ASGIApp

from hubstead.blobs import BlobKind, LinkedBlob, linked_many
from hubstead.commits import RefKind, RefName, require_room_for_bytes
from hubstead.errors import InvalidInput
from hubstead.ids import is_sha256
from hubstead.repos import Right, require_right
from hubstead.wire import Request
from hubstead.wire.lfs.holds import hold_objects, names_of
from hubstead.wire.lfs.shapes import (
    BatchRequest,
    BatchResponse,
    ObjectError,
    ObjectResponse,
    RequestedObject,
    lfs_error,
    lfs_response,
)
from hubstead.wire.lfs.transfer_actions import (
    XET,
    TransferPlan,
    download_actions,
    upload_actions,
    xet_actions,
)

MOST_OBJECTS = 1000
_HASHES = (None, "sha256", "sha_256")  # the JavaScript client sends the last

# The client's suites look for `cli lfs-enable-largefiles` (0.0.1-0.34) and for the sentence
# beginning with `Run "hf …` (0.35 and later) in what git prints: protocol/legacy-clients.md 4.3.
_NEEDS_PARTS = (
    'You need to configure this clone to upload files this large: Run "hf lfs-enable-largefiles '
    './path/to/your/repo" (older releases: "huggingface-cli lfs-enable-largefiles '
    './path/to/your/repo") and push again.'
)


async def batch(request: Request) -> ASGIApp:
    """Return the upload or download URLs of each LFS object."""
    batch_request = await request.json(BatchRequest)
    operation = _operation(batch_request)
    right = _upload_right(batch_request) if operation == "upload" else Right.READ
    require_right(request.repo, request.actor, right)
    if operation == "upload":
        request.hub.refuse_read_only()
    if batch_request.hash_algo not in _HASHES:
        return lfs_error("The only hash_algo here is sha256", 409)
    if len(batch_request.objects) > MOST_OBJECTS:
        return lfs_error(f"Ask for at most {MOST_OBJECTS} objects at once", 413)
    if operation == "upload":
        return lfs_response(await _upload(request, batch_request))
    return lfs_response(await _download(request, batch_request))


def _operation(batch_request: BatchRequest) -> Literal["upload", "download"]:
    if batch_request.operation == "download":
        return "download"
    if batch_request.operation != "upload":
        raise InvalidInput(reason='"operation" must be one of [upload, download]')
    return "upload"


def _upload_right(batch_request: BatchRequest) -> Right:
    """Return the right that an upload needs: less for a pull request.

    The batch for a new pull request names no ref (protocol/hub-api.md 3.9).
    """
    ref = batch_request.ref
    is_pull = ref is None or RefName.parse(ref.name).kind is RefKind.PULL
    return Right.PROPOSE if is_pull else Right.WRITE


async def _upload(request: Request, batch_request: BatchRequest) -> BatchResponse:
    linked = await hold_objects(request, batch_request.objects)
    answers: dict[RequestedObject, ObjectResponse] = {}
    wanted: list[RequestedObject] = []
    for obj in batch_request.objects:
        error = _fault(request, obj, linked.get(obj.oid))
        if error is not None:
            answers[obj] = _rejected(obj, error)
        elif obj.oid in linked:
            answers[obj] = ObjectResponse(obj.oid, obj.size)
        else:
            wanted.append(obj)
    await require_room_for_bytes(
        request.hub.db,
        request.repo.owner,
        request.repo.owner_pk,
        request.hub.settings.accounts.max_bytes,
        created=sum({obj.oid: obj.size for obj in wanted}.values()),
        uploads=True,
    )
    transfers = batch_request.transfers or []
    if wanted and XET in transfers:
        actions = await xet_actions(request)
        for obj in wanted:
            answers[obj] = ObjectResponse(obj.oid, obj.size, actions)
        return BatchResponse(XET, [answers[obj] for obj in batch_request.objects])
    plan = TransferPlan.make(request, transfers, wanted)
    possible = [obj for obj in wanted if not plan.is_impossible(obj)]
    actions_by_object = await upload_actions(request, plan, possible)
    for obj in wanted:
        if obj in actions_by_object:
            answers[obj] = ObjectResponse(obj.oid, obj.size, actions_by_object[obj])
        else:
            answers[obj] = _rejected(obj, ObjectError(422, _NEEDS_PARTS))
    return BatchResponse(plan.transfer, [answers[obj] for obj in batch_request.objects])


def _fault(request: Request, obj: RequestedObject, blob: LinkedBlob | None) -> ObjectError | None:
    most = request.hub.settings.lfs.max_file_bytes
    if not is_sha256(obj.oid):
        return ObjectError(422, "The oid must be a sha256 in 64 lower-case hex digits")
    if obj.size < 0:
        return ObjectError(422, "The size must not be negative")
    if blob is not None and blob.bytes != obj.size:
        return ObjectError(422, f"The object has {blob.bytes} bytes, not {obj.size}")
    if blob is None and obj.size > most:
        return ObjectError(422, f"The object is larger than {most} bytes (max_lfs_file_bytes)")
    return None


async def _download(request: Request, batch_request: BatchRequest) -> BatchResponse:
    linked = await linked_many(
        request.hub.db, request.repo.pk, BlobKind.LFS, names_of(batch_request.objects)
    )
    total = sum(max(0, obj.size) for obj in batch_request.objects)
    answers = []
    for obj in batch_request.objects:
        # Clients may read only committed objects: an upload alone proves no right to the bytes.
        blob = row if (row := linked.get(obj.oid)) and row.committed else None
        error = _fault(request, obj, blob)
        if error is None and blob is None:
            error = ObjectError(404, "The object does not exist in this repository")
        if error is not None:
            answers.append(_rejected(obj, error))
        else:
            answers.append(ObjectResponse(obj.oid, obj.size, download_actions(request, obj, total)))
    return BatchResponse("basic", answers)


def _rejected(obj: RequestedObject, error: ObjectError) -> ObjectResponse:
    return ObjectResponse(obj.oid, obj.size, error=error)
