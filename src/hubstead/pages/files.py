"""The pages of files: folders and single files at a revision, and who wrote which line."""

from __future__ import annotations

from typing import Any

from hubstead.admission import Lane, run_in_lane
from hubstead.commits import Revision
from hubstead.errors import EntryNotFound
from hubstead.gitstore import Commit, GitRepo, blame_file
from hubstead.http import Response
from hubstead.pages.cards import card_at, card_of, place_of
from hubstead.pages.file_views import (
    MEDIA,
    PICKLES,
    code_lines,
    ending_of,
    notebook_of,
    show_of,
    table_of,
)
from hubstead.pages.header_views import header_of
from hubstead.pages.repo_page import (
    SHOWN_BYTES,
    Line,
    line_of,
    long_repo_page,
    revision_and_path,
    text_of,
)
from hubstead.pages.repository import CARD, chosen
from hubstead.pages.snippets import Usage, snippets_of
from hubstead.repos import Right, allows
from hubstead.wire import Request

#: A row is 0.8 kB and half a millisecond of HTML.
FOLDER_PAGE = 250
#: Commits that the search for the last change of each entry visits at most.
LAST_CHANGE_COMMITS = 2000
#: Bytes of a file that becomes a table or a notebook.
STRUCTURED_BYTES = 1 << 20
BLAME_LINES = 5000


async def tree(request: Request) -> Response:
    """Show a folder at a revision; ``?after=`` is the last path of the previous page."""
    revision, path = await revision_and_path(request)
    after = request.query.one("after")
    git = await request.git()
    lines = await run_in_lane(Lane.READS, _folder, git, revision.commit, path, after)
    shown = lines[:FOLDER_PAGE]
    last = await run_in_lane(Lane.HISTORY, _last_commits, git, revision, path, shown)
    names = {line.entry.name for line in lines}
    card = None
    if CARD in names and after is None and allows(request.repo, request.actor, Right.READ):
        card = await card_at(request, git, revision, f"{path}/{CARD}" if path else CARD)
    usage = Usage(request.repo, request.public_url, revision.text)
    return await long_repo_page(
        request,
        "tree.html",
        tab="files",
        images=card is not None,
        revision=revision,
        path=path,
        lines=shown,
        last=last,
        here_commit=last.get(path),
        more_after=_cursor(shown[-1]) if len(lines) > FOLDER_PAGE else None,
        card=card,
        files=sum(line.entry.type != "tree" for line in shown),
        size=sum(line.size for line in shown),
        **chosen(request, snippets_of(usage)),
    )


def _cursor(last: Line) -> str:
    return f"{last.entry.path}/" if last.entry.type == "tree" else last.entry.path


def _folder(git: GitRepo, commit_oid: str, path: str, after: str | None) -> list[Line]:
    entries = git.tree_page(
        git.tree_of(commit_oid), path, folders_first=True, after=after, limit=FOLDER_PAGE + 1
    )
    return [line_of(git, entry) for entry in entries]


def _last_commits(
    git: GitRepo, revision: Revision, path: str, lines: list[Line]
) -> dict[str, Commit]:
    """Return the last commit by path; that of the folder itself is under its own path."""
    paths = [line.entry.path for line in lines]
    last = git.last_commits(revision.commit, paths, most=LAST_CHANGE_COMMITS)
    if path:
        last |= git.last_commits(revision.commit, [path], most=LAST_CHANGE_COMMITS)
    else:
        last[path] = git.commit(revision.commit)
    return last


async def blob(request: Request) -> Response:
    """Show a file at a revision as its kind allows, and where its bytes are."""
    revision, path = await revision_and_path(request)
    git = await request.git()
    entry = git.entry(revision.commit, path) if path else None
    if entry is None or entry.type not in ("blob", "link"):
        raise EntryNotFound(reason=f"There is no file {path} at this revision")
    line = await run_in_lane(Lane.READS, line_of, git, entry)
    last = await run_in_lane(
        Lane.HISTORY, git.last_commits, revision.commit, [path], LAST_CHANGE_COMMITS
    )
    view = await _view(request, git, revision, line)
    return await long_repo_page(
        request,
        "blob.html",
        tab="files",
        images="card" in view,
        revision=revision,
        path=path,
        line=line,
        commit=last.get(path),
        runs_code=ending_of(path) in PICKLES,
        **view,
    )


async def _view(request: Request, git: GitRepo, revision: Revision, line: Line) -> dict[str, Any]:
    """Return how a file is shown, and what that view needs."""
    path = line.entry.path
    show = show_of(path)
    if show == "weights":
        header = await header_of(request, git, line)
        return {"show": "none" if header is None else show, "source": False, "header": header}
    source = request.query.one("view") == "source"
    if show in MEDIA and not (source and path.endswith(".svg")):
        return {"show": show, "source": False}
    if show == "markdown" and not source:
        card = await card_of(request, git, revision, line)
        if card is not None:
            return {"show": show, "source": False, "card": card}
    if show in ("table", "notebook") and not source:
        place = place_of(request, revision, path.rpartition("/")[0])
        view = await run_in_lane(Lane.HISTORY, _structured, git, line, show, place)
        if view is not None:
            return {"show": show, "source": False, show: view}
    lines = await run_in_lane(Lane.HISTORY, _code, git, line)
    if lines is None:
        return {"show": "none", "source": False}
    return {"show": "text", "source": show != "text", "lines": lines}


def _structured(git: GitRepo, line: Line, show: str, place: Any) -> Any:
    text = text_of(git, line, STRUCTURED_BYTES)
    if text is None:
        return None
    return table_of(text, line.entry.name) if show == "table" else notebook_of(text, place)


def _code(git: GitRepo, line: Line) -> list[Any] | None:
    text = text_of(git, line)
    return None if text is None else code_lines(text, line.entry.name)


async def blame(request: Request) -> Response:
    """Show who wrote which lines of a text file."""
    revision, path = await revision_and_path(request)
    git = await request.git()
    entry = git.entry(revision.commit, path) if path else None
    if entry is None or entry.type != "blob":
        raise EntryNotFound(reason=f"There is no file {path} at this revision")
    line = await run_in_lane(Lane.READS, line_of, git, entry)
    lines = await run_in_lane(Lane.HISTORY, _code, git, line)
    groups = None
    if lines is not None and len(lines) <= BLAME_LINES:
        groups = await run_in_lane(Lane.HISTORY, blame_file, git, revision.commit, path)
    return await long_repo_page(
        request,
        "blame.html",
        tab="files",
        revision=revision,
        path=path,
        lines=lines or [],
        groups=groups,
        reason=f"Only texts up to {BLAME_LINES} lines and {SHOWN_BYTES // 1024} KiB are blamed.",
    )
