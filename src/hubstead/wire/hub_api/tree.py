"""Folders and paths: ``tree`` and ``paths-info``."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from msgspec import UNSET

from hubstead.admission import Lane, run_in_lane
from hubstead.commits import Revision
from hubstead.errors import EntryNotFound, InvalidInput, TooLarge
from hubstead.gitstore import Commit, Entry, GitRepo
from hubstead.http import Response, json_response
from hubstead.wire import Request, encoded_path
from hubstead.wire.hub_api.file_facts import lfs_facts, readable_xet_hashes
from hubstead.wire.hub_api.shapes import FileStatus, LastCommit, TreeItem, iso

PAGE = 1000
EXPANDED_PAGE = 100


async def list_tree(request: Request) -> Response:
    """List a folder, page by page; ``recursive`` goes into it, ``expand`` adds last commits.

    A folder's own folders come before its files, as the public Hub has them and users of
    ``HfFileSystem.ls`` up to 0.36 see them; what ``recursive`` lists is in git's order.
    """
    revision_text, path = await request.split("rest")
    revision = await request.revision(revision_text)
    git = await request.git()
    path = path.rstrip("/")
    folder = git.entry(revision.commit, path) if path else None
    if path and (folder is None or folder.type != "tree"):
        raise EntryNotFound(reason=f'{path} does not exist on "{revision.text}"')
    expand = request.query.flag("expand")
    recursive = request.query.flag("recursive")
    limit = _page_size(request, expand=expand, recursive=recursive)
    after = _after(request.query.one("cursor"))
    entries = await run_in_lane(
        Lane.READS,
        git.tree_page,
        revision.commit,
        path,
        recursive=recursive,
        folders_first=not recursive,
        after=after,
        limit=limit + 1,
    )
    page = entries[:limit]
    lane = Lane.HISTORY if expand else Lane.READS
    items = await run_in_lane(lane, describe, git, revision, page, expand=expand)
    await _add_xet_hashes(request, items)
    headers = {}
    if len(entries) > limit:
        headers["link"] = next_page(request, cursor=_cursor(page[-1], recursive))
    if len(items) <= PAGE:
        return json_response(items, headers=headers)
    return await run_in_lane(Lane.READS, json_response, items, headers=headers)


def _page_size(request: Request, *, expand: bool, recursive: bool) -> int:
    """Return how many entries a page has; an expanded one, which walks history, has fewer.

    Runtimes send no ``limit`` and read one page only (protocol/runtimes.md 1).
    """
    limits = request.hub.settings.requests
    default = EXPANDED_PAGE if expand else PAGE
    if recursive and not expand and request.query.one("limit") in (None, "None"):
        return limits.max_recursive_page
    most = EXPANDED_PAGE if expand else limits.max_page
    return request.query.number("limit", default, least=1, most=most)


def next_page(request: Request, **changed: object) -> str:
    """Return the ``Link`` header to the next page: this address with other parameters.

    The JavaScript client wants it absolute and ``rel`` quoted (protocol/hub-api.md 2.8).
    """
    pairs = [(name, value) for name, value in request.query.pairs() if name not in changed]
    pairs += [(name, str(value)) for name, value in changed.items()]
    return f'<{request.public_url}{encoded_path(request.path)}?{urlencode(pairs)}>; rel="next"'


def _cursor(last: Entry, recursive: bool) -> str:
    """Name the last entry of a page; where folders come first, one has a slash behind it."""
    path = last.path + "/" if last.type == "tree" and not recursive else last.path
    return base64.urlsafe_b64encode(path.encode("utf-8", "surrogateescape")).decode().rstrip("=")


def _after(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode(
            "utf-8", "surrogateescape"
        )
    except ValueError:
        raise InvalidInput(reason='"cursor" is not one that this server gave out') from None


def describe(
    git: GitRepo, revision: Revision, entries: Sequence[Entry], *, expand: bool
) -> list[TreeItem]:
    """Describe entries of a tree; submodules, which have no content here, are left out."""
    shown = [entry for entry in entries if entry.type != "commit"]
    last = git.last_commits(revision.commit, [entry.path for entry in shown]) if expand else {}
    return [_item(git, entry, last.get(entry.path), expand) for entry in shown]


def _item(git: GitRepo, entry: Entry, last: Commit | None, expand: bool) -> TreeItem:
    shown = LastCommit(last.oid, last.title, iso(last.time_s * 1000)) if last else UNSET
    if entry.type == "tree":
        return TreeItem("directory", entry.oid, 0, entry.path, lastCommit=shown)
    lfs = lfs_facts(git, entry)
    return TreeItem(
        type="file",
        oid=entry.oid,
        size=lfs.size if lfs else git.blob_facts(entry.oid).size,  # cached, unlike the entry's
        path=entry.path,
        lfs=lfs or UNSET,
        lastCommit=shown,
        securityFileStatus=FileStatus() if expand else UNSET,
    )


async def _add_xet_hashes(request: Request, items: Sequence[TreeItem]) -> None:
    files = [(item, item.lfs.oid) for item in items if item.lfs]
    hashes = await readable_xet_hashes(request, (oid for _, oid in files))
    for item, oid in files:
        item.xetHash = hashes.get(oid, UNSET)


async def get_paths_info(request: Request) -> Response:
    """Describe paths of a revision; omit those that do not exist."""
    fields = await request.fields()
    paths = paths_of(fields.get("paths"))
    most = request.hub.settings.requests.max_paths_info
    if len(paths) > most:
        raise TooLarge(what="The list of paths", limit=most, unit="paths", setting="max_paths_info")
    expand = str(_last(fields.get("expand"))).lower() in ("true", "1")
    revision = await request.revision("/".join(request.segments("rev")))
    git = await request.git()

    def look_up() -> list[TreeItem]:
        entries = [git.entry(revision.commit, path.strip("/")) for path in paths if path.strip("/")]
        return describe(git, revision, [entry for entry in entries if entry], expand=expand)

    items = await run_in_lane(Lane.HISTORY if expand else Lane.READS, look_up)
    await _add_xet_hashes(request, items)
    return json_response(items)


def paths_of(value: Any) -> list[str]:
    """Return the paths of a body, one or several, without repeats.

    Raises:
        InvalidInput: ``value`` is no list of texts.
    """
    paths = [value] if isinstance(value, str) else value
    if paths is None:
        return []
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise InvalidInput(reason='"paths" must be a list of paths')
    return list(dict.fromkeys(paths))


def _last(value: Any) -> Any:
    return value[-1] if isinstance(value, list) and value else value
