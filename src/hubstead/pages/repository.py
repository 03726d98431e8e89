"""The pages of a repository: its files, its history and its commits."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from hubstead.admission import Lane, run_in_lane
from hubstead.commits import Revision
from hubstead.errors import (
    EntryNotFound,
    Gated,
    NotBuilt,
    RevisionNotFound,
    TooLarge,
)
from hubstead.gitstore import Entry, GitRepo, Pointer
from hubstead.http import Response
from hubstead.pages.render import page
from hubstead.repos import Deduplication, Right, load_details, measure_deduplication, require_right
from hubstead.wire import Request
from hubstead.xet import terms_bytes

CARD = "README.md"
SHOWN_BYTES = 256 * 1024
FOLDER_PAGE = 1000
COMMITS_PAGE = 50
CHANGES = 500
#: Larger repositories show no deduplication savings: measuring them would delay the page.
QUICK_TERMS_BYTES = 256 * 1024


@dataclass(frozen=True)
class Line:
    """One line of a folder's listing."""

    entry: Entry
    pointer: Pointer | None

    @property
    def size(self) -> int:
        """Bytes of the file itself, in git or behind a pointer."""
        return self.pointer.size if self.pointer else self.entry.size


async def home(request: Request) -> Response:
    """Show a repository: its files at the default branch and its README."""
    repo = request.repo
    if repo.head is None:
        return page(request, "empty.html", repo=repo)
    git = await request.git()
    revision = await request.revision(repo.default_branch)
    lines = await run_in_lane(Lane.READS, _folder, git, revision.commit, "", None)
    details = await load_details(request.hub.db, repo)
    readme = None
    with suppress(Gated):
        require_right(repo, request.actor, Right.READ)
        readme = await run_in_lane(Lane.READS, _text_at, git, revision.commit, CARD)
    tags = msgspec.json.decode(details.tags)
    return page(
        request,
        "repository.html",
        repo=repo,
        details=details,
        tags=tags,
        readme=readme,
        saved=await _saved(request),
        **_listing(revision, "", lines),
    )


async def _saved(request: Request) -> Deduplication | None:
    """Return what deduplication saves; None if nothing, or if measuring would take long."""
    if not 0 < await terms_bytes(request.hub.db, request.repo.pk) <= QUICK_TERMS_BYTES:
        return None
    saved = await measure_deduplication(request.hub.db, request.actor, request.repo)
    return saved if saved.stored < saved.logical or saved.shared else None


async def tree(request: Request) -> Response:
    """Show a folder at a revision; ``?after=`` is the last path of the previous page."""
    revision, path = await _revision_and_path(request)
    after = request.query.one("after")
    lines = await run_in_lane(
        Lane.READS, _folder, await request.git(), revision.commit, path, after
    )
    return page(request, "tree.html", repo=request.repo, **_listing(revision, path, lines))


def _listing(revision: Revision, path: str, lines: list[Line]) -> dict[str, Any]:
    return {
        "revision": revision,
        "path": path,
        "lines": lines[:FOLDER_PAGE],
        "more_after": lines[FOLDER_PAGE - 1].entry.path if len(lines) > FOLDER_PAGE else None,
    }


async def blob(request: Request) -> Response:
    """Show a file at a revision: its text, if it has one, and its download link."""
    revision, path = await _revision_and_path(request)
    git = await request.git()
    entry = git.entry(revision.commit, path) if path else None
    if entry is None or entry.type not in ("blob", "link"):
        raise EntryNotFound(reason=f"There is no file {path} at this revision")
    text = await run_in_lane(Lane.READS, _text_at, git, revision.commit, path)
    line = Line(entry, _pointer(git, entry))
    return page(
        request, "blob.html", repo=request.repo, revision=revision, path=path, line=line, text=text
    )


async def commits(request: Request) -> Response:
    """Show the history of a revision, newest first; ``?p=`` is the page, from 0."""
    revision, path = await _revision_and_path(request)
    if path:
        raise RevisionNotFound(revision=f"{revision.text}/{path}", repo=request.repo.full_name)
    number = request.query.number("p", 0, most=1_000_000)
    git = await request.git()
    log = await run_in_lane(
        Lane.READS, git.log, revision.commit, number * COMMITS_PAGE, COMMITS_PAGE + 1
    )
    return page(
        request,
        "commits.html",
        repo=request.repo,
        revision=revision,
        commits=log[:COMMITS_PAGE],
        number=number,
        more=len(log) > COMMITS_PAGE,
    )


async def commit(request: Request) -> Response:
    """Show a commit and the files it changed. Clients send a HEAD request for it after a push."""
    revision = await request.revision(request.text("sha"))
    git = await request.git()
    shown = git.commit(revision.commit)
    parent = shown.parents[0] if shown.parents else None
    changes = await run_in_lane(Lane.READS, git.diff_names, parent, shown.oid)
    return page(
        request,
        "commit.html",
        repo=request.repo,
        commit=shown,
        changes=changes[:CHANGES],
        more=len(changes) - CHANGES,
    )


async def unbuilt(_request: Request) -> Response:
    """Reject the request: this page does not exist yet."""
    raise NotBuilt(what="this page comes with the web site")


async def _revision_and_path(request: Request) -> tuple[Revision, str]:
    """Split the rest of the URL into revision and path; the default branch if it is empty."""
    text, path = await request.split("rest")
    return await request.revision(text or request.repo.default_branch), path.rstrip("/")


def _folder(git: GitRepo, commit_oid: str, path: str, after: str | None) -> list[Line]:
    entries = git.tree_page(git.tree_of(commit_oid), path, after=after, limit=FOLDER_PAGE + 1)
    return [Line(entry, _pointer(git, entry)) for entry in entries]


def _pointer(git: GitRepo, entry: Entry) -> Pointer | None:
    return git.blob_facts(entry.oid).pointer if entry.type == "blob" else None


def _text_at(git: GitRepo, commit_oid: str, path: str) -> str | None:
    """Return a file's text, or None if it is large or binary."""
    entry = git.entry(commit_oid, path)
    if entry is None or entry.type not in ("blob", "link"):
        return None
    try:
        data = git.blob(entry.oid, SHOWN_BYTES)
    except TooLarge:
        return None
    return None if b"\0" in data else data.decode("utf-8", "replace")
