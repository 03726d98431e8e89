"""Every ref leads to a commit, and everything a commit needs is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hubstead.commits import HEADS, Ref, list_refs
from hubstead.doctor.findings import Fault, Inspection
from hubstead.doctor.repositories import RepoInspection, inspect_repos
from hubstead.gitstore import GitRepo, GitStore, ObjectMissing

_HINT = "restore the repository's packs from a backup, or move the ref to a commit that is there"
#: A broken pack has a line for each of its objects; the first ones tell enough.
_MOST_LINES = 20
_TRIES = 5


async def targets(patient: Inspection) -> AsyncIterator[Fault]:
    """Each ref names an object that is there and stands for the commit that its row says."""
    async for case in inspect_repos(patient):
        refs = await list_refs(patient.stores.db, case.repo.pk)
        git = await case.git()
        if git is None:
            yield case.finding("targets", "its objects cannot be opened on this node", _HINT)
            continue
        for ref in refs:
            fault = _fault(git, ref)
            if fault:
                yield case.finding("targets", f"{ref.name} {fault}", _HINT)


def _fault(git: GitRepo, ref: Ref) -> str | None:
    try:
        commit = git.peel(ref.oid)
    except ObjectMissing:
        return f"points to {ref.oid}, which is no commit here"
    if commit != ref.target:
        return f"says its commit is {ref.target}, but {ref.oid} stands for {commit}"
    return None


async def objects(patient: Inspection) -> AsyncIterator[Fault]:
    """All that refs reach is in registered packs and sound (``git fsck``). Not if quick."""
    if patient.quick:
        return
    async for case in inspect_repos(patient):
        # Refs first: a pack is registered by the transaction that moves its ref.
        refs = await list_refs(patient.stores.db, case.repo.pk)
        if await case.git() is None:
            continue
        tips = sorted({ref.oid for ref in refs})
        for line in (await _faults(case, tips))[:_MOST_LINES]:
            yield case.finding("objects", f"git fsck: {line}", _HINT)


async def _faults(case: RepoInspection, tips: Sequence[str]) -> list[str]:
    """Return what git finds, once more if packs were replaced, and removed, while it looked."""
    lines: list[str] = []
    for _ in range(_TRIES):
        packs = [row.name for row in await case.packs()]
        git = case.patient.stores.git
        lines = await asyncio.to_thread(_fsck, git, case.repo.id, tips, packs)
        if not lines or packs == [row.name for row in await case.packs()]:
            break
    return lines


def _fsck(git: GitStore, repo_id: str, tips: Sequence[str], packs: Sequence[str]) -> list[str]:
    """Run git fsck over the registered packs alone: others are going to be swept away."""
    if set(git.pack_names(repo_id)) <= set(packs):
        return git.fsck(repo_id, tips)
    with TemporaryDirectory(prefix="hubstead-doctor-") as folder:
        view = GitStore(Path(folder))
        view.create(repo_id)
        for name in packs:
            for suffix in ("pack", "idx"):
                file = f"pack-{name}.{suffix}"
                (view.packs_path(repo_id) / file).symlink_to(git.packs_path(repo_id) / file)
        found = view.fsck(repo_id, tips)
        return [line.replace(str(view.path(repo_id)), str(git.path(repo_id))) for line in found]


async def heads(patient: Inspection) -> AsyncIterator[Fault]:
    """What a repository's row says of its default branch is where that branch is."""
    async for case in inspect_repos(patient):
        wanted = await _tip(case)
        if case.repo.head != wanted:
            what = f"its row says the default branch is at {case.repo.head}, the ref is at {wanted}"
            yield case.finding("heads", what, "commit to the default branch: that sets it anew")


async def _tip(case: RepoInspection) -> str | None:
    name = HEADS + case.repo.default_branch
    refs = await list_refs(case.patient.stores.db, case.repo.pk)
    return next((ref.target for ref in refs if ref.name == name), None)
