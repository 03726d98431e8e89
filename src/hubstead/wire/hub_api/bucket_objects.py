"""Objects of buckets: trees, paths, batches, downloads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import msgspec
from starlette.types import ASGIApp

from hubstead import buckets
from hubstead.buckets import AddObject, BucketObject, CopyObject, DeleteObject, TreeQuery
from hubstead.errors import EntryNotFound, InvalidInput, InvalidName, TooLarge
from hubstead.http import FileResponse, Response, Source, content_disposition, json_response
from hubstead.ids import Kind, RepoId, is_sha256
from hubstead.wire import Request, open_lfs, reconstruction_url, token_url
from hubstead.wire.hub_api import shapes
from hubstead.wire.hub_api.resolve import XET_FILE_INFO, HeadOnly, media_type_of, xet_headers
from hubstead.wire.hub_api.shapes import BucketOperation, BucketTreeItem, iso
from hubstead.wire.hub_api.tree import next_page, paths_of
from hubstead.xet import find_lfs_object

PAGE = 1000
_DIRECTIONS = {"1": False, "asc": False, "-1": True, "desc": True}
_SORTS = {"path": False, "uploadedAt": True}


async def list_tree(request: Request) -> Response:
    """List the objects and folders whose paths begin with a prefix, page by page."""
    query = request.query
    most = request.hub.settings.requests.max_page
    page = await buckets.list_objects(
        request.hub.db,
        request.repo.pk,
        TreeQuery(
            prefix="/".join(request.segments("path")),
            recursive=query.flag("recursive"),
            by_time=_choice(request, "sort", _SORTS, "path"),
            descending=_choice(request, "direction", _DIRECTIONS, "1"),
            cursor=query.one("cursor"),
            limit=query.number("limit", PAGE, least=1, most=most),
        ),
    )
    items = [
        BucketTreeItem("directory", entry.path) if entry.object is None else _item(entry.object)
        for entry in page.entries
    ]
    headers = {"link": next_page(request, cursor=page.cursor)} if page.cursor else {}
    return json_response(items, headers=headers)


def _choice(request: Request, name: str, choices: dict[str, bool], default: str) -> bool:
    value = request.query.one(name) or default
    if value not in choices:
        raise InvalidInput(reason=f'"{name}" must be one of [{", ".join(choices)}]')
    return choices[value]


def _item(row: BucketObject) -> BucketTreeItem:
    return BucketTreeItem(
        type="file",
        path=row.path,
        size=row.bytes,
        xetHash=row.file,
        mtime=msgspec.UNSET if row.mtime_ms is None else iso(row.mtime_ms),
        mtimeNanos=msgspec.UNSET if row.mtime_nanos is None else row.mtime_nanos,
        uploadedAt=iso(row.uploaded_ms),
        contentType=row.content_type or msgspec.UNSET,
    )


async def get_paths_info(request: Request) -> Response:
    """Describe objects by name; omit those that do not exist."""
    fields = await request.fields()
    paths = paths_of(fields.get("paths"))
    most = request.hub.settings.requests.max_paths_info
    if len(paths) > most:
        raise TooLarge(what="The list of paths", limit=most, unit="paths", setting="max_paths_info")
    asked_for = [path for path in paths if "\0" not in path]
    objects = await buckets.find_objects(request.hub.db, request.repo.pk, asked_for)
    return json_response([_item(objects[path]) for path in asked_for if path in objects])


# -- batches -----------------------------------------------------------------------------------


async def apply_batch(request: Request) -> Response:
    """Add, copy and delete objects; the answer lists the operations that failed."""
    operations = [_operation(line) for line in _lines(await request.body())]
    most = request.hub.settings.requests.max_bucket_operations
    if len(operations) > most:
        raise TooLarge(
            what="The batch", limit=most, unit="operations", setting="max_bucket_operations"
        )
    result = await buckets.apply_batch(
        request.hub.db,
        request.actor,
        request.repo,
        operations,
        max_owner_bytes=request.hub.settings.accounts.max_bytes,
    )
    body = shapes.BucketBatchResponse(
        success=not result.failed,
        processed=len(operations),
        succeeded=result.succeeded,
        failed=[shapes.BucketFailure(path, error) for path, error in result.failed],
    )
    return json_response(body, status=422 if result.failed and not result.succeeded else 200)


def _lines(body: bytes) -> Iterator[BucketOperation]:
    for number, line in enumerate(body.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            yield msgspec.json.decode(line, type=BucketOperation)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidInput(reason=f"line {number} is not an operation: {error}") from None


def _operation(line: BucketOperation) -> AddObject | CopyObject | DeleteObject:
    if line.type == "deleteFile":
        return DeleteObject(line.path)
    # What is no hash names no file.
    file = line.xetHash if is_sha256(line.xetHash) else ""
    added = AddObject(line.path, file, line.mtime, line.mtimeNanos, line.contentType or None)
    return CopyObject(added, _source(line)) if line.type == "copyFile" else added


def _source(line: BucketOperation) -> RepoId | None:
    try:
        return RepoId.parse(Kind.parse_any(line.sourceRepoType), line.sourceRepoId)
    except InvalidName:
        return None


# -- downloads ---------------------------------------------------------------------------------


async def resolve_object(request: Request) -> ASGIApp:
    """Send an object, or say where the Xet store has it."""
    path = "/".join(request.segments("path"))
    row = await buckets.find_object(request.hub.db, request.repo.pk, path)
    if row is None:
        raise EntryNotFound()
    facts = shapes.XetFileResponse(
        hash=row.file,
        refreshUrl=token_url(request, "read", None),
        reconstructionUrl=await reconstruction_url(request, row.file),
        etag=row.file,
        size=row.bytes,
    )
    media_type = row.content_type or media_type_of(row.path.rpartition("/")[2])
    headers = [*_headers(request, row), *xet_headers(facts)]
    if XET_FILE_INFO in request.headers.get("accept", ""):
        body = msgspec.json.encode(msgspec.structs.asdict(facts) | {"contentType": media_type})
        return Response(body, media_type=XET_FILE_INFO, headers=dict(headers))
    source = HeadOnly(row.bytes) if request.method == "HEAD" else await _open(request, row)
    return FileResponse(source, etag=row.file, headers=headers, media_type=media_type)


def _headers(request: Request, row: BucketObject) -> list[tuple[str, str]]:
    headers = [
        ("X-Linked-Size", str(row.bytes)),
        ("X-Linked-Etag", f'"{row.file}"'),
        ("Content-Security-Policy", "default-src 'none'; sandbox"),
        ("Cache-Control", "private, no-cache" if request.repo.private else "no-cache"),
    ]
    if not request.query.flag("noContentDisposition"):
        name, inline = row.path.rpartition("/")[2], not request.query.flag("download")
        headers.append(("Content-Disposition", content_disposition(name, inline=inline)))
    return headers


class _NoBytes:
    """The content of an object without bytes."""

    path = None
    size = 0

    async def chunks(self, start: int, count: int) -> AsyncIterator[bytes]:
        """Yield nothing."""
        for _ in range(0):
            yield b""


async def _open(request: Request, row: BucketObject) -> Source:
    if not row.bytes:
        return _NoBytes()
    lfs = await find_lfs_object(request.hub.db, request.repo.pk, row.sha256)
    if lfs is None:
        raise EntryNotFound()  # overwritten or deleted since its row was read
    return await open_lfs(request, lfs)
