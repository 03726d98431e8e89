"""Commits over the API: ``preupload`` and ``commit``, in every format that clients send."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from hubstead.admission import Lane, buffer_bytes, run_in_lane
from hubstead.blobs import BlobKind, linked_many
from hubstead.commits import (
    Changeset,
    CommitResult,
    FileSource,
    Message,
    RefKind,
    RefName,
    UploadCandidate,
    UploadMode,
    choose_upload_modes,
    commit,
    copy_file,
    require_room_for_bytes,
)
from hubstead.discussions import commit_to_new_request, number_of
from hubstead.errors import InvalidInput, TooLarge
from hubstead.http import Response, inflating, json_response, stream_body
from hubstead.ids import Kind, RepoId, is_sha256
from hubstead.repos import Repo, Right, require_right
from hubstead.wire import Request
from hubstead.wire.hub_api import shapes

T = TypeVar("T")

#: Longer lines are decoded in a thread.
_INLINE_BYTES = 1 << 16
#: Bytes that a line of NDJSON may have beside its content.
_LINE_ROOM = 1 << 16


async def preupload(request: Request) -> Response:
    """Return for every file whether to upload it in the commit or through LFS."""
    _require_right(request)
    body = await request.json(shapes.Preupload)
    candidates = [UploadCandidate(file.path, file.size, _sample(file)) for file in body.files]
    git = await request.git()
    target = _target_of(request)
    revision = None if is_unborn(request.repo, target) else await request.revision(target.revision)
    choices = await run_in_lane(
        Lane.HISTORY,
        choose_upload_modes,
        git,
        git.tree_of(revision.commit) if revision else None,
        candidates,
        request.hub.settings.commits,
        request.hub.settings.lfs,
        attributes=body.gitAttributes,
        ignores=body.gitIgnore,
    )
    await _require_room(request, candidates, choices)
    to_send = await _to_send(request, [choice.oid for choice in choices if choice.oid])
    files = [
        shapes.PreuploadChoice(
            path=choice.path,
            uploadMode="lfs" if choice.by_lfs else "regular",
            shouldIgnore=choice.ignored,
            oid=UNSET if choice.oid in to_send else choice.oid or UNSET,
        )
        for choice in choices
    ]
    return json_response(shapes.PreuploadResponse(files, revision.commit if revision else ""))


async def _require_room(
    request: Request, candidates: Sequence[UploadCandidate], choices: Sequence[UploadMode]
) -> None:
    """Refuse new files that the owner has no room for; a present file may be unchanged."""
    sizes = [
        candidate.size
        for candidate, choice in zip(candidates, choices, strict=True)
        if choice.oid is None and not choice.ignored
    ]
    await require_room_for_bytes(
        request.hub.db,
        request.repo.owner,
        request.repo.owner_pk,
        request.hub.settings.accounts.max_bytes,
        created=sum(sizes),
    )


async def _to_send(request: Request, ids: Sequence[str]) -> set[str]:
    """Return the sha256 of files that a client must upload although pointers name them.

    No commit linked them, or their stored bytes are damaged.
    """
    names = [name for name in dict.fromkeys(ids) if is_sha256(name)]
    links = await linked_many(request.hub.db, request.repo.pk, BlobKind.LFS, names)
    linked = [name for name in names if name in links and links[name].committed]
    damaged = await request.hub.stores.xet.damage.damaged_objects(linked)
    return set(names) - set(linked) | damaged


def _sample(file: shapes.PreuploadFile) -> bytes:
    try:
        return base64.b64decode(file.sample, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput(reason=f"the sample of {file.path!r} is not base64") from None


def _require_right(request: Request) -> Right:
    """Return the right that a commit needs: less for a pull request than for a branch."""
    opening = request.query.flag("create_pr")
    is_pull = opening or _target_of(request).kind is RefKind.PULL
    right = Right.PROPOSE if is_pull else Right.WRITE
    require_right(request.repo, request.actor, right)
    return right


def _target_of(request: Request) -> RefName:
    """Return the ref that the URL names as the target of a commit."""
    return target_ref(request.repo, "/".join(request.segments("rev")))


def target_ref(repo: Repo, revision: str) -> RefName:
    """Return the ref to which a commit at ``revision`` goes; ``HEAD`` is the default branch."""
    name = RefName.of_branch_text(revision)
    return RefName.branch(repo.default_branch) if name == RefName.branch("HEAD") else name


def is_unborn(repo: Repo, target: RefName) -> bool:
    """Tell whether ``target`` is the default branch of a repository without commits."""
    return repo.head is None and target == RefName.branch(repo.default_branch)


async def create_commit(request: Request) -> Response:
    """Commit additions, deletions and copies to a branch, all or nothing."""
    right = _require_right(request)
    git = await request.git()
    with Changeset(git.draft(), request.hub.settings.commits) as change:
        read = _read_document if _is_document(request) else _read_lines
        header = await read(request, change)
        result = await _commit(request, change, header, right)
    return json_response(_commit_response(request, result))


async def _commit(
    request: Request, change: Changeset, header: shapes.CommitHeader, right: Right
) -> CommitResult:
    subject = (request.hub.stores, request.actor, request.repo)
    message = Message(header.summary, header.description or "")
    target, parent = _target_of(request), header.parentCommit
    if request.query.flag("create_pr"):
        return await commit_to_new_request(
            *subject, base=target, changeset=change, message=message, parent=parent
        )
    return await commit(
        *subject, target=target, right=right, changeset=change, message=message, parent=parent
    )


def _commit_response(request: Request, result: CommitResult) -> shapes.CommitResponse:
    page = f"{request.public_url}/{request.repo.repo_id.web_path}"
    url = f"{page}/commit/{result.commit}"
    opened: str | UnsetType = UNSET
    if request.query.flag("create_pr"):
        opened = f"{page}/discussions/{number_of(result.ref)}"
    return shapes.CommitResponse(
        success=True, commitUrl=url, commitOid=result.commit, pullRequestUrl=opened
    )


def _is_document(request: Request) -> bool:
    kind = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
    return kind == "application/json"


# -- NDJSON ------------------------------------------------------------------------------------


async def _read_lines(request: Request, change: Changeset) -> shapes.CommitHeader:
    header: shapes.CommitHeader | None = None
    number = 0
    async for line in _lines(request):
        number += 1
        key, value = _parse_line(line, number)
        if key == "header":
            if header is not None:
                raise InvalidInput(reason=f"line {number}: there must be one header only")
            header = _decode(value, shapes.CommitHeader, number)
        elif header is None:
            raise InvalidInput(reason=f"line {number}: the header must come first")
        else:
            await _operation(request, change, key, value, number)
    if header is None:
        raise InvalidInput(reason="the commit has no header line")
    return header


async def _lines(request: Request) -> AsyncIterator[bytes]:
    """Yield the lines of the body as they arrive; the last one may lack its newline."""
    settings = request.hub.settings
    longest = settings.commits.max_regular_file_bytes * 4 // 3 + _LINE_ROOM
    scope, receive = inflating(request.scope, request.receive)
    pending = bytearray()
    counted = 0
    async for part in stream_body(
        scope,
        receive,
        limit=settings.requests.max_commit_body_bytes,
        what="The commit",
        setting="max_commit_body_bytes",
    ):
        searched = len(pending)
        pending += part
        if len(pending) > counted:  # the longest line so far
            buffer_bytes(len(pending) - counted)
            counted = len(pending)
        while (end := pending.find(b"\n", searched)) >= 0:
            line = bytes(pending[:end])
            del pending[: end + 1]
            searched = 0
            if line.strip():
                yield line
        if len(pending) > longest:
            raise TooLarge(
                what="A file in the commit: upload it through LFS. It",
                limit=settings.commits.max_regular_file_bytes,
                setting="max_regular_file_bytes",
            )
    if pending.strip():
        yield bytes(pending)


def _parse_line(line: bytes, number: int) -> tuple[str, msgspec.Raw]:
    parsed = _decode(line, shapes.CommitLine, number)
    return parsed.key, parsed.value


def _decode(data: bytes | msgspec.Raw, shape: type[T], number: int) -> T:
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(reason=f"line {number} is not what it should be: {error}") from None
    except RecursionError:
        raise InvalidInput(reason=f"line {number} is nested too deeply") from None


async def _operation(
    request: Request, change: Changeset, key: str, value: msgspec.Raw, number: int
) -> None:
    if key == "file":
        await _put(change, _decode(value, shapes.CommitFile, number))
    elif key == "lfsFile":
        _put_lfs(change, _decode(value, shapes.CommitLfsFile, number))
    elif key in ("deletedFile", "deletedEntry"):
        change.remove(_decode(value, shapes.CommitDelete, number).path)
    elif key == "deletedFolder":
        change.remove_folder(_decode(value, shapes.CommitDelete, number).path)
    elif key == "copyFile":
        await _copy(request, change, _decode(value, shapes.CommitCopy, number))
    else:
        raise InvalidInput(reason=f"line {number}: unknown key {key[:40]!r}")


async def _copy(request: Request, change: Changeset, copy: shapes.CommitCopy) -> None:
    if copy.srcRepo is None:
        change.copy(copy.path, copy.srcPath, copy.srcRevision)
        return
    source = RepoId.parse(Kind.parse(copy.srcRepo.type), copy.srcRepo.name)
    await copy_file(
        request.hub.stores,
        request.actor,
        request.repo,
        change,
        path=copy.path,
        source=FileSource(source, copy.srcPath, copy.srcRevision),
    )


async def _put(change: Changeset, file: shapes.CommitFile) -> None:
    if file.content is None:
        if file.oldPath is None:
            raise InvalidInput(reason=f"the file {file.path!r} has no content")
        change.copy(file.path, file.oldPath, None)
    else:
        change.check(file.path)
        if len(file.content) > _INLINE_BYTES:
            content = await run_in_lane(Lane.WRITES, _content, file)
        else:
            content = _content(file)
        await change.put(file.path, content, mode_of=file.oldPath)
    _remove_old(change, file.path, file.oldPath)


def _content(file: shapes.CommitFile) -> bytes:
    assert file.content is not None
    try:
        if file.encoding == "base64":
            return base64.b64decode(file.content, validate=True)
        return file.content.encode()
    except (binascii.Error, ValueError):
        raise InvalidInput(reason=f"the content of {file.path!r} is not {file.encoding}") from None


def _put_lfs(change: Changeset, file: shapes.CommitLfsFile) -> None:
    if file.algo not in (None, "sha256"):
        raise InvalidInput(reason=f"the algo of {file.path!r} must be sha256")
    change.put_pointer(file.path, file.oid, file.size, mode_of=file.oldPath)
    _remove_old(change, file.path, file.oldPath)


def _remove_old(change: Changeset, path: str, old: str | None) -> None:
    if old is not None and old != path:
        change.remove(old)


# -- one document ------------------------------------------------------------------------------


async def _read_document(request: Request, change: Changeset) -> shapes.CommitHeader:
    """Read the JSON document of client releases 0.8 to 0.10, whole in memory."""
    settings = request.hub.settings
    limit = min(
        settings.requests.max_commit_body_bytes, 4 * settings.commits.max_regular_file_bytes
    )
    body = await request.json(shapes.CommitDocument, limit)
    for file in body.files:
        await _put(change, file)
    for lfs_file in body.lfsFiles:
        _put_lfs(change, lfs_file)
    for deleted in body.deletedFiles:
        change.remove(deleted.path)
    for folder in body.deletedFolders:
        change.remove_folder(folder.path)
    return shapes.CommitHeader(body.summary, body.description, body.parentCommit)
