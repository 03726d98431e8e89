"""Branches, tags, commits, comparisons."""

from __future__ import annotations

import asyncio
import html

from msgspec import UNSET

from hubstead.commits import (
    HEADS,
    TAGS,
    all_refs,
    create_branch,
    create_tag,
    delete_branch,
    delete_tag,
    squash,
)
from hubstead.errors import NotBuilt, RevisionNotFound
from hubstead.gitstore import Commit
from hubstead.wire.http import Answer, Call, json_answer, text_answer
from hubstead.wire.hub_api import shapes
from hubstead.wire.hub_api.tree import next_page

CONVERTS = "refs/convert/"
PULLS = "refs/pr/"


async def refs(call: Call) -> Answer:
    """List branches, tags and what else points to commits."""
    rows = await all_refs(call.hub.db, call.repo.pk)

    def below(prefix: str) -> list[shapes.RefItem]:
        return [
            shapes.RefItem(row.name.removeprefix(prefix), row.name, row.target)
            for row in rows
            if row.name.startswith(prefix)
        ]

    pulls = below(PULLS) if call.query.flag("include_prs") else UNSET
    return json_answer(shapes.Refs(below(HEADS), below(TAGS), below(CONVERTS), pulls))


async def commits(call: Call) -> Answer:
    """List the commits of a revision, newest first, page by page."""
    revision = await call.revision("/".join(call.segments("rev")))
    git = await call.git()
    page = call.query.number("p", 0, most=10**9)
    limit = call.query.number("limit", 50, least=1, most=call.hub.settings.max_page)
    listed = await asyncio.to_thread(git.log, revision.commit, page * limit, limit)
    total = await asyncio.to_thread(git.count, revision.commit)
    headers = {"x-total-count": str(total)}
    if (page + 1) * limit < total:
        headers["link"] = next_page(call, p=page + 1, limit=limit)
    formatted = "formatted" in call.query.all("expand")
    return json_answer([_commit(each, formatted) for each in listed], headers=headers)


def _commit(commit: Commit, formatted: bool) -> shapes.CommitItem:
    dressed = shapes.FormattedCommit(html.escape(commit.title), html.escape(commit.body))
    return shapes.CommitItem(
        id=commit.oid,
        title=commit.title,
        message=commit.body,
        authors=[shapes.Author(commit.author_name)],
        date=shapes.iso(commit.time_s * 1000),
        formatted=dressed if formatted else UNSET,
    )


async def compare(call: Call) -> Answer:
    """Show what differs between two revisions, ``a..b`` or ``a...b``, as a unified diff."""
    spec = "/".join(call.segments("spec"))
    dots = "..." if "..." in spec else ".."
    old, found, new = spec.partition(dots)
    if not found:
        raise RevisionNotFound(revision=spec, repo=call.repo.full_name)
    git = await call.git()
    one = (await call.revision(old or "HEAD")).commit
    other = (await call.revision(new or "HEAD")).commit
    if dots == "...":
        base = await asyncio.to_thread(git.merge_base, one, other)
        one = base or one
    text = await asyncio.to_thread(lambda: b"".join(git.diff_text(one, other)))
    return text_answer(text.decode("utf-8", "replace"))


def _branch_of(call: Call) -> str:
    return "/".join(call.segments("branch"))


async def add_branch(call: Call) -> Answer:
    """Make a branch."""
    body = await call.json(shapes.CreateBranch)
    await create_branch(
        call.hub.stores,
        call.actor,
        call.repo,
        _branch_of(call),
        start=body.startingPoint,
        empty=bool(body.emptyBranch),
        overwrite=bool(body.overwrite),
    )
    return json_answer({})


async def remove_branch(call: Call) -> Answer:
    """Delete a branch."""
    await delete_branch(call.hub.stores, call.actor, call.repo, _branch_of(call))
    return json_answer({})


async def add_tag(call: Call) -> Answer:
    """Make a tag at a revision."""
    body = await call.json(shapes.CreateTag)
    await create_tag(
        call.hub.stores,
        call.actor,
        call.repo,
        body.tag,
        revision="/".join(call.segments("rev")),
        message=body.message,
    )
    return json_answer({})


async def remove_tag(call: Call) -> Answer:
    """Delete a tag."""
    await delete_tag(call.hub.stores, call.actor, call.repo, "/".join(call.segments("rev")))
    return json_answer({})


async def super_squash(call: Call) -> Answer:
    """Replace a branch's history by one commit."""
    body = await call.json(shapes.Squash)
    branch = _branch_of(call)
    if branch.startswith(PULLS):
        raise NotBuilt(what="pull requests")
    commit = await squash(call.hub.stores, call.actor, call.repo, branch, body.message)
    return json_answer({"commitId": commit})
