"""Files of a revision, whole or in part: ``resolve``, ``raw``, ``resolve-cache``."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import AsyncIterator
from functools import lru_cache

import msgspec
from starlette.types import ASGIApp

from hubstead.commits import Revision
from hubstead.errors import EntryNotFound, InvalidInput
from hubstead.gitstore import Entry, GitRepo, Pointer
from hubstead.ids import is_oid
from hubstead.wire.http import (
    Answer,
    Call,
    FileAnswer,
    disposition,
    names_a_tag,
    open_lfs,
    reconstruction_url,
    redirect,
    token_url,
)
from hubstead.wire.hub_api.contents import pointer_of
from hubstead.wire.hub_api.shapes import XetFile
from hubstead.xet import Found, find

#: What clients accept that would rather put the file together (protocol/hub-api.md 5.2).
XET_FACTS = "application/vnd.xet-fileinfo+json"
#: Larger files of git are read in a thread.
_INLINE_BYTES = 1 << 16


async def resolve(call: Call) -> ASGIApp:
    """Send a file: what git holds, or the LFS object that its pointer names."""
    revision, path = await _where(call)
    return await _send(call, revision, path)


async def resolve_cached(call: Call) -> ASGIApp:
    """Send a file of a commit named by its full sha, which never changes."""
    if not is_oid(call.text("sha")):
        raise InvalidInput(reason="this address takes a full commit sha")
    revision = await call.revision(call.text("sha"))
    return await _send(call, revision, "/".join(call.segments("path")))


async def raw(call: Call) -> ASGIApp:
    """Send a file as git holds it: for an LFS file the pointer."""
    revision, path = await _where(call)
    git, entry = await _entry(call, revision, path)
    return await _from_git(call, git, entry, revision)


async def _where(call: Call) -> tuple[Revision, str]:
    text, path = await call.split("rest")
    return await call.revision(text), path


async def _send(call: Call, revision: Revision, path: str) -> ASGIApp:
    git, entry = await _entry(call, revision, path)
    pointer = pointer_of(git, entry)
    if pointer is None:
        return await _from_git(call, git, entry, revision)
    return await _from_store(call, entry, pointer, revision)


async def _entry(call: Call, revision: Revision, path: str) -> tuple[GitRepo, Entry]:
    git = await call.git()
    entry = git.entry(revision.commit, path) if path and not path.endswith("/") else None
    if entry is None or entry.type not in ("blob", "link"):
        raise EntryNotFound()
    return git, entry


class _GitFile:
    """A file that git holds, read once it is known that its bytes are to be sent."""

    path = None

    def __init__(self, git: GitRepo, oid: str) -> None:
        self.size = git.blob_facts(oid).size
        self._git = git
        self._oid = oid

    async def chunks(self, start: int, count: int) -> AsyncIterator[bytes]:
        """Yield ``count`` bytes from ``start``."""
        if self.size > _INLINE_BYTES:
            content = await asyncio.to_thread(self._git.blob, self._oid)
        else:
            content = self._git.blob(self._oid)
        yield content[start : start + count]


async def _from_git(call: Call, git: GitRepo, entry: Entry, revision: Revision) -> ASGIApp:
    return FileAnswer(
        _GitFile(git, entry.oid),
        etag=entry.oid,
        headers=_headers(call, entry, revision),
        media_type=_media_type(entry.name),
    )


async def _from_store(call: Call, entry: Entry, pointer: Pointer, revision: Revision) -> ASGIApp:
    found = await find(call.hub.db, call.repo.pk, pointer.oid)
    if found is None:
        # A pointer is only text: it leads to bytes that were given to this repository, no others.
        raise EntryNotFound(reason="The content of this LFS file is not in this repository")
    headers = _headers(call, entry, revision)
    headers += [("X-Linked-Etag", f'"{pointer.oid}"'), ("X-Linked-Size", str(pointer.size))]
    if found.file is not None:
        facts = await _xet_facts(call, found, found.file, revision)
        headers += _xet_headers(facts)
        if XET_FACTS in call.headers.get("accept", ""):
            body = msgspec.json.encode(facts)
            return Answer(body, media_type=XET_FACTS, headers=dict(headers))
    elsewhere = await _address_elsewhere(call, entry, found)
    if elsewhere is not None:
        more = {name.lower(): value for name, value in headers}
        # Releases 0.10 to 0.13 prefer ETag: both must be equal (protocol/legacy-clients.md 3).
        return redirect(elsewhere, status=302, headers={**more, "etag": f'"{pointer.oid}"'})
    source = _Unopened(found.bytes) if _only_asks(call, found) else await open_lfs(call, found)
    return FileAnswer(source, etag=pointer.oid, headers=headers, media_type=_media_type(entry.name))


async def _xet_facts(call: Call, found: Found, file: str, revision: Revision) -> XetFile:
    return XetFile(
        hash=file,
        refreshUrl=token_url(call, "read", revision.commit),
        reconstructionUrl=await reconstruction_url(call, file),
        etag=found.sha256,
        size=found.bytes,
    )


def _xet_headers(facts: XetFile) -> list[tuple[str, str]]:
    """Return what turns clients to the Xet store, by absolute addresses (protocol/xet.md 10.2)."""
    refresh = f'<{facts.refreshUrl}>; rel="xet-auth"'
    plan = f'<{facts.reconstructionUrl}>; rel="xet-reconstruction-info"'
    return [
        ("X-Xet-Hash", facts.hash),
        ("Link", f"{refresh}, {plan}"),
        ("Vary", "Origin, Accept"),
    ]


def _only_asks(call: Call, found: Found) -> bool:
    """Tell whether this is how a client begins that then fetches the file from the Xet store."""
    return call.method == "HEAD" and found.file is not None


class _Unopened:
    """A file that is known well enough to answer HEAD."""

    path = None

    def __init__(self, size: int) -> None:
        self.size = size

    def chunks(self, start: int, count: int) -> AsyncIterator[bytes]:
        """Never called: HEAD sends nothing."""
        raise NotImplementedError


async def _address_elsewhere(call: Call, entry: Entry, found: Found) -> str | None:
    """Return where the store itself hands the file out, if this client can be sent there.

    So is not who names a tag: the store has tags of its own, and would refuse all of ours.
    HEAD is answered here: some clients (huggingface_hub 1.33 and 2.0) follow when the store is on
    the same host, and an address that is signed for GET is refused to HEAD.
    """
    may = call.hub.settings.s3_direct_downloads and found.is_plain and call.method != "HEAD"
    if not may or names_a_tag(call.scope) or not _may_be_sent_on(call):
        return None
    return await call.hub.blobs.url(
        found.place,
        expires_s=int(call.hub.settings.signed_url_seconds),
        filename=entry.name,
        media_type=_media_type(entry.name),
    )


def _may_be_sent_on(call: Call) -> bool:
    """Tell whether the client can follow a redirect to another host.

    Releases up to 0.11.1 take their token along, which S3 refuses beside a signature.
    """
    agent = call.headers.get("user-agent", "")
    if "hf_hub/0." not in agent or "authorization" not in call.headers:
        return True
    minor = agent.partition("hf_hub/0.")[2].partition(".")[0]
    return minor.isdigit() and int(minor) >= 12


def _headers(call: Call, entry: Entry, revision: Revision) -> list[tuple[str, str]]:
    inline = not call.query.flag("download")
    headers = [
        ("X-Repo-Commit", revision.commit),
        ("Content-Disposition", disposition(entry.name, inline=inline)),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "default-src 'none'; sandbox"),
    ]
    if revision.is_fixed and not call.repo.private and not call.repo.gated:
        headers.append(("Cache-Control", "public, max-age=31536000, immutable"))
    elif call.repo.private:
        headers.append(("Cache-Control", "private, no-cache"))
    return headers


@lru_cache(maxsize=4096)
def _media_type(name: str) -> str:
    """Return what browsers may take the file for; text is shown, never run as a page."""
    guessed, coding = mimetypes.guess_type(name)
    if guessed is None or coding is not None:
        return "text/plain; charset=utf-8" if name.startswith(".git") else _ANY
    if guessed.startswith("text/") or guessed in ("application/json", "application/xml"):
        return "text/plain; charset=utf-8"
    return guessed


_ANY = "application/octet-stream"
