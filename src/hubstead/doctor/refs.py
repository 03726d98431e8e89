"""Checks that refs point to commits, and that all reachable objects exist."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hubstead.admission import Lane, run_in_lane
from hubstead.commits import HEADS, Ref, list_refs
from hubstead.doctor.findings import Finding, Inspection
from hubstead.doctor.repositories import RepoInspection, inspect_repos
from hubstead.gitstore import GitRepo, GitStore, ObjectMissing

_HINT = "restore the repository's packs from a backup, or move the ref to a commit that exists"
#: A broken pack yields a line per object; the first lines suffice.
_MOST_LINES = 20
_TRIES = 5


async def targets(inspection: Inspection) -> AsyncIterator[Finding]:
    """Every ref names an existing object that peels to the commit in its row."""
    async for repository in inspect_repos(inspection):
        refs = await list_refs(inspection.storage.db, repository.repo.pk)
        git = await repository.git()
        if git is None:
            yield repository.finding("targets", "its objects cannot be opened on this node", _HINT)
            continue
        for ref in refs:
            fault = _ref_fault(git, ref)
            if fault:
                yield repository.finding("targets", f"{ref.name} {fault}", _HINT)


def _ref_fault(git: GitRepo, ref: Ref) -> str | None:
    try:
        commit = git.peel(ref.oid)
    except ObjectMissing:
        return f"points to {ref.oid}, which is no commit here"
    if commit != ref.target:
        return f"has the commit {ref.target} in its row, but {ref.oid} peels to {commit}"
    return None


async def objects(inspection: Inspection) -> AsyncIterator[Finding]:
    """Every reachable object is sound and in a registered pack (``git fsck``); not if quick."""
    if inspection.quick:
        return
    async for repository in inspect_repos(inspection):
        # Refs first: a pack is registered by the transaction that moves its ref.
        refs = await list_refs(inspection.storage.db, repository.repo.pk)
        if await repository.git() is None:
            continue
        tips = sorted({ref.oid for ref in refs})
        for line in (await _fsck_lines(repository, tips))[:_MOST_LINES]:
            yield repository.finding("objects", f"git fsck: {line}", _HINT)


async def _fsck_lines(repository: RepoInspection, tips: Sequence[str]) -> list[str]:
    """Return the output of git fsck; run it again if a repack removed packs meanwhile."""
    lines: list[str] = []
    for _ in range(_TRIES):
        packs = [row.name for row in await repository.packs()]
        git = repository.inspection.storage.git
        lines = await run_in_lane(Lane.BACKGROUND, _fsck, git, repository.repo.id, tips, packs)
        if not lines or packs == [row.name for row in await repository.packs()]:
            break
    return lines


def _fsck(git: GitStore, repo_id: str, tips: Sequence[str], packs: Sequence[str]) -> list[str]:
    """Run git fsck over the registered packs alone: others are leftovers, soon deleted."""
    if set(git.pack_names(repo_id)) <= set(packs):
        return git.fsck(repo_id, tips)
    with TemporaryDirectory(prefix="hubstead-doctor-") as folder:
        view = GitStore(Path(folder))
        view.create(repo_id)
        for name in packs:
            for suffix in ("pack", "idx"):
                file = f"pack-{name}.{suffix}"
                (view.packs_path(repo_id) / file).symlink_to(git.packs_path(repo_id) / file)
        lines = view.fsck(repo_id, tips)
        return [line.replace(str(view.path(repo_id)), str(git.path(repo_id))) for line in lines]


async def heads(inspection: Inspection) -> AsyncIterator[Finding]:
    """The head in every repository's row is the target of its default branch."""
    async for repository in inspect_repos(inspection):
        tip = await _default_tip(repository)
        if repository.repo.head != tip:
            what = (
                f"its row says the default branch is at {repository.repo.head}, the ref is at {tip}"
            )
            yield repository.finding(
                "heads", what, "commit to the default branch, which updates the row"
            )


async def _default_tip(repository: RepoInspection) -> str | None:
    name = HEADS + repository.repo.default_branch
    refs = await list_refs(repository.inspection.storage.db, repository.repo.pk)
    return next((ref.target for ref in refs if ref.name == name), None)
