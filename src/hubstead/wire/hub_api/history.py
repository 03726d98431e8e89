"""Branches, tags, commits, comparisons."""

from __future__ import annotations

import html

from msgspec import UNSET

from hubstead import commits
from hubstead.admission import Lane, run_in_lane
from hubstead.commits import RefKind, RefName
from hubstead.errors import RevisionNotFound
from hubstead.garbage import forget_unreachable
from hubstead.gitstore import Commit
from hubstead.http import Response, json_response, text_response
from hubstead.wire import Request
from hubstead.wire.hub_api import shapes
from hubstead.wire.hub_api.tree import next_page


async def list_refs(request: Request) -> Response:
    """List branches, tags and other refs."""
    items: dict[RefKind, list[shapes.RefItem]] = {kind: [] for kind in RefKind}
    for row in await commits.list_refs(request.hub.db, request.repo.pk):
        name = RefName.parse(row.name)
        items[name.kind].append(shapes.RefItem(name.short, row.name, row.target))
    pulls = items[RefKind.PULL] if request.query.flag("include_prs") else UNSET
    branches, tags, converts = (
        items[kind] for kind in (RefKind.BRANCH, RefKind.TAG, RefKind.CONVERT)
    )
    return json_response(shapes.Refs(branches, tags, converts, pulls))


async def list_commits(request: Request) -> Response:
    """List the commits of a revision, newest first, page by page."""
    revision = await request.revision("/".join(request.segments("rev")))
    git = await request.git()
    page = request.query.number("p", 0, most=10**9)
    limit = request.query.number("limit", 50, least=1, most=request.hub.settings.requests.max_page)
    page_commits = await run_in_lane(Lane.HISTORY, git.log, revision.commit, page * limit, limit)
    total = await run_in_lane(Lane.HISTORY, git.count, revision.commit)
    headers = {"x-total-count": str(total)}
    if (page + 1) * limit < total:
        headers["link"] = next_page(request, p=page + 1, limit=limit)
    formatted = "formatted" in request.query.all("expand")
    return json_response([_commit(commit, formatted) for commit in page_commits], headers=headers)


def _commit(commit: Commit, formatted: bool) -> shapes.CommitItem:
    formatted_commit = shapes.FormattedCommit(html.escape(commit.title), html.escape(commit.body))
    return shapes.CommitItem(
        id=commit.oid,
        title=commit.title,
        message=commit.body,
        authors=[shapes.Author(commit.author_name)],
        date=shapes.iso(commit.time_s * 1000),
        formatted=formatted_commit if formatted else UNSET,
    )


async def compare_revisions(request: Request) -> Response:
    """Return the unified diff between two revisions, ``a..b`` or ``a...b``."""
    spec = "/".join(request.segments("spec"))
    dots = "..." if "..." in spec else ".."
    old, separator, new = spec.partition(dots)
    if not separator:
        raise RevisionNotFound(revision=spec, repo=request.repo.full_name)
    git = await request.git()
    one = (await request.revision(old or "HEAD")).commit
    other = (await request.revision(new or "HEAD")).commit
    if dots == "...":
        base = await run_in_lane(Lane.HISTORY, git.merge_base, one, other)
        one = base or one
    text = await run_in_lane(Lane.HISTORY, lambda: b"".join(git.diff_text(one, other)))
    return text_response(text.decode("utf-8", "replace"))


def _branch_of(request: Request) -> str:
    return "/".join(request.segments("branch"))


async def create_branch(request: Request) -> Response:
    """Create a branch."""
    body = await request.json(shapes.CreateBranch)
    await commits.create_branch(
        request.hub.stores,
        request.actor,
        request.repo,
        _branch_of(request),
        start=body.startingPoint,
        empty=bool(body.emptyBranch),
        overwrite=bool(body.overwrite),
    )
    return json_response({})


async def delete_branch(request: Request) -> Response:
    """Delete a branch."""
    await commits.delete_branch(
        request.hub.stores, request.actor, request.repo, _branch_of(request)
    )
    return json_response({})


async def create_tag(request: Request) -> Response:
    """Create a tag at a revision."""
    body = await request.json(shapes.CreateTag)
    await commits.create_tag(
        request.hub.stores,
        request.actor,
        request.repo,
        body.tag,
        revision="/".join(request.segments("rev")),
        message=body.message,
    )
    return json_response({})


async def delete_tag(request: Request) -> Response:
    """Delete a tag."""
    await commits.delete_tag(
        request.hub.stores, request.actor, request.repo, "/".join(request.segments("rev"))
    )
    return json_response({})


async def forget_unreachable_history(request: Request) -> Response:
    """Delete for good what no ref reaches any more, soon and without a grace period."""
    await request.hub.db.write(forget_unreachable, request.repo)
    return json_response({}, status=202)


async def squash_history(request: Request) -> Response:
    """Replace a branch's history by one commit."""
    body = await request.json(shapes.Squash)
    branch = _branch_of(request)
    commit = await commits.squash(
        request.hub.stores, request.actor, request.repo, branch, body.message
    )
    return json_response({"commitId": commit})
