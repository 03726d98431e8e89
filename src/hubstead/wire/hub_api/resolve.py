"""Downloads of files of a revision: ``resolve``, ``raw``, ``resolve-cache``."""

from __future__ import annotations

import mimetypes
from collections.abc import AsyncIterator
from functools import lru_cache

import msgspec
from starlette.types import ASGIApp

from hubstead.admission import Lane, run_in_lane
from hubstead.commits import Revision
from hubstead.errors import EntryNotFound, InvalidInput
from hubstead.gitstore import Entry, GitRepo, Pointer
from hubstead.http import FileResponse, Response, content_disposition, names_a_tag, redirect
from hubstead.ids import is_oid
from hubstead.wire import Request, open_lfs, reconstruction_url, token_url
from hubstead.wire.hub_api.file_facts import pointer_of
from hubstead.wire.hub_api.shapes import XetFileResponse
from hubstead.xet import LfsObject, find_lfs_object

#: Accepted by clients that reconstruct the file themselves (protocol/hub-api.md 5.2).
XET_FILE_INFO = "application/vnd.xet-fileinfo+json"
#: Bytes; a thread reads larger files of git.
_INLINE_BYTES = 1 << 16


async def resolve_file(request: Request) -> ASGIApp:
    """Send a file: the content that git stores, or the LFS object that its pointer names."""
    revision, path = await _revision_and_path(request)
    return await _send_file(request, revision, path)


async def resolve_cached_file(request: Request) -> ASGIApp:
    """Send a file of a commit named by its full sha, which never changes."""
    if not is_oid(request.text("sha")):
        raise InvalidInput(reason="this address takes a full commit sha")
    revision = await request.revision(request.text("sha"))
    return await _send_file(request, revision, "/".join(request.segments("path")))


async def get_raw_file(request: Request) -> ASGIApp:
    """Send the content that git stores: for an LFS file its pointer."""
    revision, path = await _revision_and_path(request)
    git, entry = await _find_entry(request, revision, path)
    return await _git_response(request, git, entry, revision)


async def _revision_and_path(request: Request) -> tuple[Revision, str]:
    text, path = await request.split("rest")
    return await request.revision(text), path


async def _send_file(request: Request, revision: Revision, path: str) -> ASGIApp:
    git, entry = await _find_entry(request, revision, path)
    pointer = pointer_of(git, entry)
    if pointer is None:
        return await _git_response(request, git, entry, revision)
    return await _lfs_response(request, entry, pointer, revision)


async def _find_entry(request: Request, revision: Revision, path: str) -> tuple[GitRepo, Entry]:
    git = await request.git()
    entry = git.entry(revision.commit, path) if path and not path.endswith("/") else None
    if entry is None or entry.type not in ("blob", "link"):
        raise EntryNotFound()
    return git, entry


class _GitFile:
    """The content of a file in git, read only when the response sends it."""

    path = None

    def __init__(self, git: GitRepo, oid: str) -> None:
        self.size = git.blob_facts(oid).size
        self._git = git
        self._oid = oid

    async def chunks(self, start: int, count: int) -> AsyncIterator[bytes]:
        """Yield ``count`` bytes from offset ``start``."""
        if self.size > _INLINE_BYTES:
            content = await run_in_lane(Lane.READS, self._git.blob, self._oid)
        else:
            content = self._git.blob(self._oid)
        yield content[start : start + count]


async def _git_response(
    request: Request, git: GitRepo, entry: Entry, revision: Revision
) -> ASGIApp:
    return FileResponse(
        _GitFile(git, entry.oid),
        etag=entry.oid,
        headers=_headers(request, entry, revision),
        media_type=media_type_of(entry.name),
    )


async def _lfs_response(
    request: Request, entry: Entry, pointer: Pointer, revision: Revision
) -> ASGIApp:
    lfs = await find_lfs_object(request.hub.db, request.repo.pk, pointer.oid)
    if lfs is None:
        # A pointer is only text: it gives access to objects linked to this repository alone.
        raise EntryNotFound(reason="The content of this LFS file is not in this repository")
    headers = _headers(request, entry, revision)
    headers += [("X-Linked-Etag", f'"{pointer.oid}"'), ("X-Linked-Size", str(pointer.size))]
    if lfs.file is not None:
        facts = await _xet_facts(request, lfs, lfs.file, revision)
        headers += xet_headers(facts)
        if XET_FILE_INFO in request.headers.get("accept", ""):
            body = msgspec.json.encode(facts)
            return Response(body, media_type=XET_FILE_INFO, headers=dict(headers))
    direct_url = await _direct_url(request, entry, lfs)
    if direct_url is not None:
        more = {name.lower(): value for name, value in headers}
        more["cache-control"] = "no-store"  # the address in it is good for minutes
        # Releases 0.10 to 0.13 prefer ETag: both must be equal (protocol/legacy-clients.md 3).
        return redirect(direct_url, status=302, headers={**more, "etag": f'"{pointer.oid}"'})
    source = (
        HeadOnly(lfs.bytes) if _starts_xet_download(request, lfs) else await open_lfs(request, lfs)
    )
    return FileResponse(
        source, etag=pointer.oid, headers=headers, media_type=media_type_of(entry.name)
    )


async def _xet_facts(
    request: Request, lfs: LfsObject, file: str, revision: Revision
) -> XetFileResponse:
    return XetFileResponse(
        hash=file,
        refreshUrl=token_url(request, "read", revision.commit),
        reconstructionUrl=await reconstruction_url(request, file),
        etag=lfs.sha256,
        size=lfs.bytes,
    )


def xet_headers(facts: XetFileResponse) -> list[tuple[str, str]]:
    """Return the headers that direct clients to the Xet store (protocol/xet.md 10.2)."""
    refresh = f'<{facts.refreshUrl}>; rel="xet-auth"'
    plan = f'<{facts.reconstructionUrl}>; rel="xet-reconstruction-info"'
    return [
        ("X-Xet-Hash", facts.hash),
        ("Link", f"{refresh}, {plan}"),
        ("Vary", "Origin, Accept"),
    ]


def _starts_xet_download(request: Request, lfs: LfsObject) -> bool:
    """Tell whether this HEAD precedes a download from the Xet store."""
    return request.method == "HEAD" and lfs.file is not None


class HeadOnly:
    """The size of a file, which is enough to answer HEAD."""

    path = None

    def __init__(self, size: int) -> None:
        self.size = size

    def chunks(self, start: int, count: int) -> AsyncIterator[bytes]:
        """Never called: HEAD sends no body."""
        raise NotImplementedError


async def _direct_url(request: Request, entry: Entry, lfs: LfsObject) -> str | None:
    """Return the signed URL of the file in the store, if this client can follow a redirect there.

    A request with a condition on the ETag stays here: the store has ETags of its own, and ours
    never match them. HEAD stays here as well: some clients (huggingface_hub 1.33 and 2.0) follow
    when the store is on the same host, and the store refuses HEAD on a URL signed for GET.
    """
    direct = request.hub.blobs.direct
    if direct is None or not lfs.is_plain or request.method == "HEAD":
        return None
    if names_a_tag(request.scope) or not _follows_to_other_hosts(request):
        return None
    lfs.require_intact()
    media_type = media_type_of(entry.name)
    shown = not request.query.flag("download") and _is_passive(media_type)
    return await direct.url(
        lfs.place,
        expires_s=int(request.hub.settings.blobs.download_url_seconds),
        content_disposition=content_disposition(entry.name, inline=shown),
        media_type=media_type,
    )


def _follows_to_other_hosts(request: Request) -> bool:
    """Tell whether the client can follow a redirect to another host.

    Releases up to 0.11.1 send their token along, which S3 refuses beside a signature.
    """
    agent = request.headers.get("user-agent", "")
    if "hf_hub/0." not in agent or "authorization" not in request.headers:
        return True
    minor = agent.partition("hf_hub/0.")[2].partition(".")[0]
    return minor.isdigit() and int(minor) >= 12


def _content_disposition(request: Request, entry: Entry) -> str:
    return content_disposition(entry.name, inline=not request.query.flag("download"))


def _headers(request: Request, entry: Entry, revision: Revision) -> list[tuple[str, str]]:
    headers = [
        ("X-Repo-Commit", revision.commit),
        ("Content-Disposition", _content_disposition(request, entry)),
        ("Content-Security-Policy", "default-src 'none'; sandbox"),
    ]
    if revision.is_fixed and not request.repo.private and not request.repo.gated:
        headers += [("Cache-Control", _PUBLIC_AT_COMMIT), ("Vary", "Origin, Accept")]
    elif request.repo.private:
        headers.append(("Cache-Control", "private, no-cache"))
    return headers


def _is_passive(media_type: str) -> bool:
    """Tell whether a browser that shows this runs nothing of it.

    The store has an origin of its own and sends no policy, so what may run there is downloaded.
    """
    kind = media_type.partition("/")[0]
    passive = kind in ("image", "audio", "video") and media_type != "image/svg+xml"
    return passive or media_type.startswith(("text/plain", "application/pdf", _ANY))


@lru_cache(maxsize=4096)
def media_type_of(name: str) -> str:
    """Return the media type for browsers; they show text and never run it as a page."""
    guessed, coding = mimetypes.guess_type(name)
    if guessed is None or coding is not None:
        return "text/plain; charset=utf-8" if name.startswith(".git") else _ANY
    if guessed.startswith("text/") or guessed in ("application/json", "application/xml"):
        return "text/plain; charset=utf-8"
    return guessed


_ANY = "application/octet-stream"
#: Browsers keep a file at a commit; caches that serve others ask again within the hour whether it
#: is still public.
_PUBLIC_AT_COMMIT = "public, max-age=31536000, immutable, s-maxage=3600"
