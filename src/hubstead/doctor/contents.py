"""What is in the trees of refs fits to what the database says of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, select

from hubstead.blobs import BlobKind
from hubstead.blobs.tables import repo_blobs
from hubstead.commits import HEADS, list_refs
from hubstead.commits.metadata import derive_metadata
from hubstead.db import scan
from hubstead.doctor.findings import Fault, Inspection
from hubstead.doctor.repositories import RepoInspection, inspect_repos
from hubstead.gitstore import GitRepo, ObjectMissing, Pointer
from hubstead.repos import RepoMetadata
from hubstead.repos.tables import repo_tags

_POINTER_HINT = (
    "upload the file again to its path, for example with `hf upload`; or nothing, if it was "
    "deleted for good, or committed as a pointer"
)
_DERIVED_HINT = "commit a change of its README.md: that derives it anew"


class _Link(NamedTuple):
    name: str
    bytes: int
    committed: int


_LINKS = scan(
    select(repo_blobs.c.name, repo_blobs.c.bytes, repo_blobs.c.committed).where(
        repo_blobs.c.repo_pk == bindparam("which_pk"), repo_blobs.c.kind == BlobKind.LFS.value
    ),
    _Link,
)
_TAGS = scan(
    select(repo_tags.c.tag).where(
        repo_tags.c.repo_pk == bindparam("which_pk"), repo_tags.c.kind == bindparam("kind")
    ),
    str,
)


async def pointers(patient: Inspection) -> AsyncIterator[Fault]:
    """Each LFS pointer in the tree of a ref (if quick: of the default branch) leads to bytes.

    Only warnings: whoever deletes an LFS file for good may leave its pointer, and anybody may
    commit a text that looks like one.
    """
    async for case in inspect_repos(patient):
        git = await case.git()
        tips = await _tips(case)
        if git is None or not tips:
            continue
        named = await asyncio.to_thread(_named, git, tips)
        rows = await patient.stores.db.all(_LINKS, which_pk=case.repo.pk) if named else []
        links = {row.name: row for row in rows}
        for path, pointer, canonical in named:
            fault = _pointer_fault(pointer, links.get(pointer.oid))
            if fault:
                form = "" if canonical else ", in a form of its own"
                what = f"{path} names the LFS object {pointer.oid}{form}, {fault}"
                yield case.finding("pointers", what, _POINTER_HINT, fault=False)


async def _tips(case: RepoInspection) -> list[str]:
    refs = await list_refs(case.patient.stores.db, case.repo.pk)
    main = HEADS + case.repo.default_branch
    return [ref.target for ref in refs if ref.name == main or not case.patient.quick]


class _Named(NamedTuple):
    """A pointer file, once for each text; ``canonical`` if git-lfs would write the same."""

    path: str
    pointer: Pointer
    canonical: bool


def _named(git: GitRepo, tips: Iterable[str]) -> list[_Named]:
    found: list[_Named] = []
    seen: set[str] = set()
    for tip in tips:
        try:
            files = git.walk_files(tip)
        except ObjectMissing:
            continue  # told by another check
        for entry in files:
            if entry.oid in seen or entry.type != "blob":
                continue
            seen.add(entry.oid)
            pointer = _read(git, entry.oid)
            if pointer:
                canonical = git.blob(entry.oid) == pointer.format()
                found.append(_Named(entry.path, pointer, canonical))
    return sorted(found)


def _read(git: GitRepo, oid: str) -> Pointer | None:
    try:
        return git.blob_facts(oid).pointer
    except ObjectMissing:  # told by another check
        return None


def _pointer_fault(pointer: Pointer, link: _Link | None) -> str | None:
    if link is None:
        return "which the repository does not hold"
    if link.bytes != pointer.size:
        return f"of {pointer.size} bytes, but that has {link.bytes}"
    return None if link.committed else "which is held as uploaded only and may be let go"


async def derived_facts(patient: Inspection) -> AsyncIterator[Fault]:
    """What lists show of a repository is what its default branch says."""
    async for case in inspect_repos(patient):
        git = await case.git()
        if git is None or case.repo.head is None:
            continue
        try:
            tree = git.tree_of(case.repo.head)
            wanted = await asyncio.to_thread(derive_metadata, case.repo.kind, git, tree)
        except ObjectMissing:
            continue  # told by another check
        for name in await _differences(case, wanted):
            what = f"its {name} is not what the default branch says"
            yield case.finding("derived_facts", what, _DERIVED_HINT, fault=False)


async def _differences(case: RepoInspection, wanted: RepoMetadata) -> list[str]:
    kept = {**case.details._asdict(), "sdk": case.repo.sdk}
    pairs = {name: (kept[name], getattr(wanted, name)) for name in _PLAIN}
    pairs |= {name: (_plain(kept[name]), _plain(getattr(wanted, name))) for name in _JSON}
    pairs["tags"] = (msgspec.json.decode(case.details.tags), list(wanted.tags))
    found = [name for name, (stored, derived) in pairs.items() if stored != derived]
    kind = case.repo.kind.value
    tags = await case.patient.stores.db.all(_TAGS, which_pk=case.repo.pk, kind=kind)
    if set(tags) != set(wanted.tags):
        found.append("list of tags to search by")
    return found


_PLAIN = ("pipeline_tag", "library_name", "sdk")
_JSON = ("card", "config")


def _plain(text: str | None) -> object:
    return None if text is None else msgspec.json.decode(text)
