"""Checks that trees of refs agree with the database: LFS pointers and derived metadata."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, select

from hubstead.admission import Lane, run_in_lane
from hubstead.blobs import BlobKind, LinkedBlob, linked_all
from hubstead.commits import HEADS, derive_metadata, list_refs
from hubstead.db import scan
from hubstead.doctor.findings import Finding, Inspection
from hubstead.doctor.repositories import RepoInspection, inspect_repos
from hubstead.gitstore import GitRepo, ObjectMissing, Pointer
from hubstead.repos import RepoMetadata
from hubstead.repos.tables import repo_tags

_POINTER_HINT = (
    "upload the file again to its path, for example with `hf upload`; or nothing, if it was "
    "deleted on purpose, or committed as a pointer"
)
_DERIVED_HINT = "commit a change of its README.md, which derives the metadata again"


_TAGS = scan(
    select(repo_tags.c.tag).where(
        repo_tags.c.repo_pk == bindparam("which_pk"), repo_tags.c.kind == bindparam("kind")
    ),
    str,
)


async def pointers(inspection: Inspection) -> AsyncIterator[Finding]:
    """Every LFS pointer in the tree of a ref (if quick: of the default branch) has its bytes.

    Findings are warnings: a client may delete an LFS file and leave its pointer, or commit a text
    that looks like a pointer.
    """
    async for repository in inspect_repos(inspection):
        git = await repository.git()
        tips = await _tips(repository)
        if git is None or not tips:
            continue
        files = await run_in_lane(Lane.BACKGROUND, _pointer_files, git, tips)
        db = inspection.storage.db
        links = await linked_all(db, repository.repo.pk, BlobKind.LFS) if files else {}
        for path, pointer, canonical in files:
            fault = _pointer_fault(pointer, links.get(pointer.oid))
            if fault:
                form = "" if canonical else ", in a form that git-lfs would not write"
                what = f"{path} names the LFS object {pointer.oid}{form}, {fault}"
                yield repository.finding("pointers", what, _POINTER_HINT, fault=False)


async def _tips(repository: RepoInspection) -> list[str]:
    refs = await list_refs(repository.inspection.storage.db, repository.repo.pk)
    main = HEADS + repository.repo.default_branch
    return [ref.target for ref in refs if ref.name == main or not repository.inspection.quick]


class _PointerFile(NamedTuple):
    """A pointer file; ``canonical`` if git-lfs would write the same text."""

    path: str
    pointer: Pointer
    canonical: bool


def _pointer_files(git: GitRepo, tips: Iterable[str]) -> list[_PointerFile]:
    """Return the pointer files of ``tips``, one per distinct text."""
    pointer_files: list[_PointerFile] = []
    seen: set[str] = set()
    for tip in tips:
        try:
            entries = git.walk_files(tip)
        except ObjectMissing:
            continue  # ``objects`` reports it
        for entry in entries:
            if entry.oid in seen or entry.type != "blob":
                continue
            seen.add(entry.oid)
            pointer = _pointer(git, entry.oid)
            if pointer:
                canonical = git.blob(entry.oid) == pointer.format()
                pointer_files.append(_PointerFile(entry.path, pointer, canonical))
    return sorted(pointer_files)


def _pointer(git: GitRepo, oid: str) -> Pointer | None:
    try:
        return git.blob_facts(oid).pointer
    except ObjectMissing:  # ``objects`` reports it
        return None


def _pointer_fault(pointer: Pointer, link: LinkedBlob | None) -> str | None:
    if link is None:
        return "which the repository does not link"
    if link.bytes != pointer.size:
        return f"of {pointer.size} bytes, but the object has {link.bytes}"
    return None if link.committed else "which is only held as an upload and may expire"


async def derived_facts(inspection: Inspection) -> AsyncIterator[Finding]:
    """The stored metadata of a repository is what its default branch declares."""
    async for repository in inspect_repos(inspection):
        git = await repository.git()
        if git is None or repository.repo.head is None:
            continue
        try:
            tree = git.tree_of(repository.repo.head)
            derived = await run_in_lane(
                Lane.BACKGROUND, derive_metadata, repository.repo.kind, git, tree
            )
        except ObjectMissing:
            continue  # ``objects`` reports it
        for name in await _differences(repository, derived):
            what = f"its {name} is not what the default branch declares"
            yield repository.finding("derived_facts", what, _DERIVED_HINT, fault=False)


async def _differences(repository: RepoInspection, derived: RepoMetadata) -> list[str]:
    stored = {**repository.details._asdict(), "sdk": repository.repo.sdk}
    pairs = {name: (stored[name], getattr(derived, name)) for name in _TEXT}
    pairs |= {name: (_decode(stored[name]), _decode(getattr(derived, name))) for name in _JSON}
    pairs["tags"] = (msgspec.json.decode(repository.details.tags), list(derived.tags))
    names = [name for name, (before, after) in pairs.items() if before != after]
    kind = repository.repo.kind.value
    tags = await repository.inspection.storage.db.all(_TAGS, which_pk=repository.repo.pk, kind=kind)
    if set(tags) != set(derived.tags):
        names.append("index of tags for searches")
    return names


_TEXT = ("pipeline_tag", "library_name", "sdk")
_JSON = ("card", "config")


def _decode(text: str | None) -> object:
    return None if text is None else msgspec.json.decode(text)
