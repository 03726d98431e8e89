"""The pages of history: commits, one commit, and the difference of two revisions."""

from __future__ import annotations

from email.utils import formatdate
from functools import partial
from typing import Any

from hubstead.admission import Lane, run_in_lane
from hubstead.errors import RevisionNotFound
from hubstead.gitstore import Commit, DiffLimits, GitRepo, diff_commits
from hubstead.http import Response, text_response
from hubstead.pages.repo_page import long_repo_page, revision_and_path
from hubstead.repos import Right, allows, require_right
from hubstead.wire import Request

COMMITS_PAGE = 50
FILES_PAGE = 100
PAGE_LIMITS = DiffLimits(files=FILES_PAGE)
#: A single file may have more lines than one of many.
FILE_LIMITS = DiffLimits(files=1, lines=20_000, file_lines=20_000)
#: Bytes of a difference as text.
TEXT_BYTES = 10 << 20
_SHA_DIGITS = frozenset("0123456789abcdef")


async def commits(request: Request) -> Response:
    """Show the history of a revision or a path, newest first; ``?p=`` is the page, from 0."""
    revision, path = await revision_and_path(request)
    number = request.query.number("p", 0, most=1_000_000)
    git = await request.git()
    log = await run_in_lane(
        Lane.HISTORY,
        partial(git.log, path=path or None),
        revision.commit,
        number * COMMITS_PAGE,
        COMMITS_PAGE + 1,
    )
    if path and not log and not number:
        raise RevisionNotFound(revision=f"{revision.text}/{path}", repo=request.repo.full_name)
    shown = log[:COMMITS_PAGE]
    days: dict[int, list[Commit]] = {}
    for commit_ in shown:
        days.setdefault(commit_.time_s // 86_400, []).append(commit_)
    return await long_repo_page(
        request,
        "commits.html",
        tab="commits",
        revision=revision,
        path=path,
        days=[(day * 86_400_000, items) for day, items in days.items()],
        number=number,
        more=len(log) > COMMITS_PAGE,
    )


async def commit(request: Request) -> Response:
    """Show a commit and what it changed; with ``.diff`` or ``.patch`` at its end, as text.

    Clients send a HEAD request for it after a push. Files of a gated repository are only named to
    those who may not read them.
    """
    name, form = _form_of(request.text("sha"))
    revision = await request.revision(name)
    git = await request.git()
    shown = git.commit(revision.commit)
    parent = shown.parents[0] if shown.parents else None
    if form:
        require_right(request.repo, request.actor, Right.READ)
        return await _as_text(git, parent, shown, form)
    diff = await _diff(request, git, parent, shown.oid)
    return await long_repo_page(request, "commit.html", tab="commits", commit=shown, **diff)


def _form_of(text: str) -> tuple[str, str]:
    """Split ``sha.diff`` and ``sha.patch``; a branch may have such a name."""
    name, _, form = text.rpartition(".")
    if form in ("diff", "patch") and len(name) >= 7 and not set(name) - _SHA_DIGITS:
        return name, form
    return text, ""


async def _as_text(git: GitRepo, parent: str | None, shown: Commit, form: str) -> Response:
    text = await run_in_lane(
        Lane.HISTORY,
        lambda: b"".join(git.diff_text(parent, shown.oid, max_bytes=TEXT_BYTES)),
    )
    head = _mail_head(shown) if form == "patch" else ""
    return text_response(head + text.decode("utf-8", "replace"))


def _mail_head(commit_: Commit) -> str:
    """Return what ``git am`` reads in front of a difference."""
    author = " ".join(commit_.author_name.split())
    title = " ".join(commit_.title.split())
    body = f"\n{commit_.body}\n" if commit_.body else ""
    return (
        f"From {commit_.oid} Mon Sep 17 00:00:00 2001\n"
        f"From: {author} <{' '.join(commit_.author_email.split())}>\n"
        f"Date: {formatdate(commit_.time_s)}\nSubject: [PATCH] {title}\n{body}\n---\n\n"
    )


async def compare(request: Request) -> Response:
    """Show what ``b`` has that ``a`` has not, at ``a...b`` since they parted; at ``a..b`` all."""
    spec = "/".join(request.segments("rest"))
    dots = "..." if "..." in spec else ".."
    old, separator, new = spec.partition(dots)
    if not separator:
        raise RevisionNotFound(revision=spec, repo=request.repo.full_name)
    git = await request.git()
    base = await request.revision(old or request.repo.default_branch)
    head = await request.revision(new or request.repo.default_branch)
    start: str | None = base.commit
    if dots == "...":
        start = await run_in_lane(Lane.HISTORY, git.merge_base, base.commit, head.commit)
    log = await run_in_lane(
        Lane.HISTORY, partial(git.log, hide=base.commit), head.commit, 0, COMMITS_PAGE + 1
    )
    diff = await _diff(request, git, start, head.commit)
    return await long_repo_page(
        request,
        "compare.html",
        tab="commits",
        base=base,
        head=head,
        start=start,
        log=log[:COMMITS_PAGE],
        more_commits=len(log) > COMMITS_PAGE,
        **diff,
    )


async def _diff(request: Request, git: GitRepo, old: str | None, new: str) -> dict[str, Any]:
    """Return the difference for a template: ``?file=`` is one file, ``?f=`` the files before."""
    may_read = allows(request.repo, request.actor, Right.READ)
    path = request.query.one("file")
    skip = 0 if path else request.query.number("f", 0, most=10_000_000)
    limits = FILE_LIMITS if path else PAGE_LIMITS
    if not may_read:
        limits = DiffLimits(files=FILES_PAGE, bytes=-1)  # names alone
    find = partial(diff_commits, limits=limits, skip=skip, path=path)
    diff = await run_in_lane(Lane.HISTORY, find, git, old, new)
    shown = skip + len(diff.files)
    return {
        "diff": diff,
        "may_read": may_read,
        "skip": skip,
        "only": path,
        "next_files": shown if shown < diff.total_files and not path else None,
    }
