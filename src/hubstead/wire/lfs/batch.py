"""``POST …/info/lfs/objects/batch``: where each object goes to, or comes from."""

from __future__ import annotations

from typing import Literal

from starlette.types import ASGIApp

from hubstead.blobs import BlobKind, LinkedBlob, linked_many
from hubstead.commits import RefKind, RefName
from hubstead.errors import InvalidInput, NotBuilt
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
_HASHES = (None, "sha256", "sha_256")  # the last is what the JavaScript client says

# The client's suites look for `cli lfs-enable-largefiles` (0.0.1-0.34) and for the sentence
# beginning with `Run "hf …` (0.35 and later) in what git prints: protocol/legacy-clients.md 4.3.
_NEEDS_PARTS = (
    'You need to configure this clone to upload files this large: Run "hf lfs-enable-largefiles '
    './path/to/your/repo" (older releases: "huggingface-cli lfs-enable-largefiles '
    './path/to/your/repo") and push again.'
)


async def batch(request: Request) -> ASGIApp:
    """Say where each LFS object can be sent to or had from."""
    asked = await request.json(BatchRequest)
    operation = _operation(asked)
    right = Right.WRITE if operation == "upload" else Right.READ
    require_right(request.repo, request.actor, right)
    if asked.hash_algo not in _HASHES:
        return lfs_error("The only hash_algo here is sha256", 409)
    if len(asked.objects) > MOST_OBJECTS:
        return lfs_error(f"Ask for at most {MOST_OBJECTS} objects at once", 413)
    if operation == "upload":
        return lfs_response(await _upload(request, asked))
    return lfs_response(await _download(request, asked))


def _operation(asked: BatchRequest) -> Literal["upload", "download"]:
    if asked.operation == "download":
        return "download"
    if asked.operation != "upload":
        raise InvalidInput(reason='"operation" must be one of [upload, download]')
    if asked.ref is not None and RefName.parse(asked.ref.name).kind is RefKind.PULL:
        raise NotBuilt(what="pushing LFS objects to a pull request")
    return "upload"


async def _upload(request: Request, asked: BatchRequest) -> BatchResponse:
    here = await hold_objects(request, asked.objects)
    answers: dict[RequestedObject, ObjectResponse] = {}
    wanted: list[RequestedObject] = []
    for each in asked.objects:
        error = _fault(request, each, here.get(each.oid))
        if error is not None:
            answers[each] = _refused(each, error)
        elif each.oid in here:
            answers[each] = ObjectResponse(each.oid, each.size)
        else:
            wanted.append(each)
    transfers = asked.transfers or []
    if wanted and XET in transfers:
        actions = await xet_actions(request)
        for each in wanted:
            answers[each] = ObjectResponse(each.oid, each.size, actions)
        return BatchResponse(XET, [answers[each] for each in asked.objects])
    plan = TransferPlan.make(request, transfers, wanted)
    possible = [each for each in wanted if not plan.is_impossible(each)]
    found = await upload_actions(request, plan, possible)
    for each in wanted:
        if each in found:
            answers[each] = ObjectResponse(each.oid, each.size, found[each])
        else:
            answers[each] = _refused(each, ObjectError(422, _NEEDS_PARTS))
    return BatchResponse(plan.transfer, [answers[each] for each in asked.objects])


def _fault(request: Request, each: RequestedObject, held: LinkedBlob | None) -> ObjectError | None:
    most = request.hub.settings.lfs.max_file_bytes
    if not is_sha256(each.oid):
        return ObjectError(422, "The oid must be a sha256 in 64 lower-case hex digits")
    if each.size < 0:
        return ObjectError(422, "The size must not be negative")
    if held is not None and held.bytes != each.size:
        return ObjectError(422, f"The object has {held.bytes} bytes, not {each.size}")
    if held is None and each.size > most:
        return ObjectError(422, f"The object is larger than {most} bytes (max_lfs_file_bytes)")
    return None


async def _download(request: Request, asked: BatchRequest) -> BatchResponse:
    here = await linked_many(request.hub.db, request.repo.pk, BlobKind.LFS, names_of(asked.objects))
    total = sum(max(0, each.size) for each in asked.objects)
    answers = []
    for each in asked.objects:
        # What was uploaded but never committed is nobody's to read.
        held = row if (row := here.get(each.oid)) and row.committed else None
        error = _fault(request, each, held)
        if error is None and held is None:
            error = ObjectError(404, "The object does not exist in this repository")
        if error is not None:
            answers.append(_refused(each, error))
        else:
            answers.append(
                ObjectResponse(each.oid, each.size, download_actions(request, each, total))
            )
    return BatchResponse("basic", answers)


def _refused(each: RequestedObject, error: ObjectError) -> ObjectResponse:
    return ObjectResponse(each.oid, each.size, error=error)
