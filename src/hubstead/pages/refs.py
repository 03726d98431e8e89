"""The pages of branches and tags."""

from __future__ import annotations

from dataclasses import dataclass

from hubstead import commits
from hubstead.admission import Lane, run_in_lane
from hubstead.commits import Ref, RefKind, RefName
from hubstead.gitstore import Commit, GitRepo, ObjectMissing
from hubstead.http import Response
from hubstead.pages.repo_page import repo_page
from hubstead.wire import Request

#: Refs of a page.
REFS_PAGE = 100


@dataclass(frozen=True)
class RefLine:
    """A branch or tag, and the commit it leads to; None if its commit is not on this node."""

    name: str
    commit: Commit | None


async def branches(request: Request) -> Response:
    """Show the branches; ``?p=`` is the page, from 0."""
    return await _refs(request, RefKind.BRANCH, "branches")


async def tags(request: Request) -> Response:
    """Show the tags; ``?p=`` is the page, from 0."""
    return await _refs(request, RefKind.TAG, "tags")


async def _refs(request: Request, kind: RefKind, page: str) -> Response:
    number = request.query.number("p", 0, most=1_000_000)
    rows = await commits.list_refs(request.hub.db, request.repo.pk)
    of_kind = [ref for ref in rows if RefName.parse(ref.name).kind is kind]
    default = f"{commits.HEADS}{request.repo.default_branch}"
    of_kind.sort(key=lambda ref: (ref.name != default, ref.name))
    shown = of_kind[number * REFS_PAGE : (number + 1) * REFS_PAGE]
    git = await request.git()
    await request.hub.stores.fetch_missing_packs(request.repo, [ref.target for ref in shown])
    lines = await run_in_lane(Lane.READS, _lines, git, shown)
    return repo_page(
        request,
        "refs.html",
        tab="files",
        kind=kind.name.lower(),
        page_name=page,
        lines=lines,
        total=len(of_kind),
        number=number,
        more=len(of_kind) > (number + 1) * REFS_PAGE,
    )


def _lines(git: GitRepo, refs: list[Ref]) -> list[RefLine]:
    return [RefLine(RefName.parse(ref.name).short, _commit(git, ref.target)) for ref in refs]


def _commit(git: GitRepo, oid: str) -> Commit | None:
    try:
        return git.commit(git.peel(oid))
    except ObjectMissing:
        return None
