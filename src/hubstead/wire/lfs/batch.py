"""``POST …/info/lfs/objects/batch``: where each object goes to, or comes from."""

from __future__ import annotations

from typing import Literal

from starlette.types import ASGIApp

from hubstead.blobs import BlobKind, LinkedBlob, held_many
from hubstead.errors import InvalidInput, NotBuilt
from hubstead.ids import is_sha256
from hubstead.repos import Right, require
from hubstead.wire.http import Call
from hubstead.wire.lfs.actions import XET, Plan, download_actions, upload_actions, xet_actions
from hubstead.wire.lfs.keeping import kept, names_of
from hubstead.wire.lfs.shapes import (
    AskedObject,
    BatchAnswer,
    BatchRequest,
    ObjectAnswer,
    ObjectError,
    lfs_answer,
    lfs_refusal,
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


async def batch(call: Call) -> ASGIApp:
    """Say where each LFS object can be sent to or had from."""
    asked = await call.json(BatchRequest)
    operation = _operation(asked)
    right = Right.WRITE if operation == "upload" else Right.CONTENT
    require(call.repo, call.actor, right)
    if asked.hash_algo not in _HASHES:
        return lfs_refusal("The only hash_algo here is sha256", 409)
    if len(asked.objects) > MOST_OBJECTS:
        return lfs_refusal(f"Ask for at most {MOST_OBJECTS} objects at once", 413)
    if operation == "upload":
        return lfs_answer(await _upload(call, asked))
    return lfs_answer(await _download(call, asked))


def _operation(asked: BatchRequest) -> Literal["upload", "download"]:
    if asked.operation == "download":
        return "download"
    if asked.operation != "upload":
        raise InvalidInput(reason='"operation" must be one of [upload, download]')
    if asked.ref is not None and asked.ref.name.startswith("refs/pr/"):
        raise NotBuilt(what="pushing LFS objects to a pull request")
    return "upload"


async def _upload(call: Call, asked: BatchRequest) -> BatchAnswer:
    here = await kept(call, asked.objects)
    answers: dict[AskedObject, ObjectAnswer] = {}
    wanted: list[AskedObject] = []
    for each in asked.objects:
        error = _fault(call, each, here.get(each.oid))
        if error is not None:
            answers[each] = _refused(each, error)
        elif each.oid in here:
            answers[each] = ObjectAnswer(each.oid, each.size)
        else:
            wanted.append(each)
    transfers = asked.transfers or []
    if wanted and XET in transfers:
        actions = await xet_actions(call)
        for each in wanted:
            answers[each] = ObjectAnswer(each.oid, each.size, actions)
        return BatchAnswer(XET, [answers[each] for each in asked.objects])
    plan = Plan.make(call, transfers, wanted)
    possible = [each for each in wanted if not plan.is_impossible(each)]
    found = await upload_actions(call, plan, possible)
    for each in wanted:
        if each in found:
            answers[each] = ObjectAnswer(each.oid, each.size, found[each])
        else:
            answers[each] = _refused(each, ObjectError(422, _NEEDS_PARTS))
    return BatchAnswer(plan.transfer, [answers[each] for each in asked.objects])


def _fault(call: Call, each: AskedObject, held: LinkedBlob | None) -> ObjectError | None:
    most = call.hub.settings.max_lfs_file_bytes
    if not is_sha256(each.oid):
        return ObjectError(422, "The oid must be a sha256 in 64 lower-case hex digits")
    if each.size < 0:
        return ObjectError(422, "The size must not be negative")
    if held is not None and held.bytes != each.size:
        return ObjectError(422, f"The object has {held.bytes} bytes, not {each.size}")
    if held is None and each.size > most:
        return ObjectError(422, f"The object is larger than {most} bytes (max_lfs_file_bytes)")
    return None


async def _download(call: Call, asked: BatchRequest) -> BatchAnswer:
    here = await held_many(call.hub.db, call.repo.pk, BlobKind.LFS, names_of(asked.objects))
    total = sum(max(0, each.size) for each in asked.objects)
    answers = []
    for each in asked.objects:
        # What was uploaded but never committed is nobody's to read.
        held = row if (row := here.get(each.oid)) and row.committed else None
        error = _fault(call, each, held)
        if error is None and held is None:
            error = ObjectError(404, "The object does not exist in this repository")
        if error is not None:
            answers.append(_refused(each, error))
        else:
            answers.append(ObjectAnswer(each.oid, each.size, download_actions(call, each, total)))
    return BatchAnswer("basic", answers)


def _refused(each: AskedObject, error: ObjectError) -> ObjectAnswer:
    return ObjectAnswer(each.oid, each.size, error=error)
