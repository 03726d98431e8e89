"""Xet files that a batch may name: of the bucket, of a source, or of what the caller reads."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from hubstead import blobs
from hubstead.accounts import Actor
from hubstead.blobs import BlobKey, BlobKind
from hubstead.db import Tx
from hubstead.ids import RepoId
from hubstead.repos import DENIED, Repo, RepoMoved, Right, open_repo, try_open_repo_by_pk
from hubstead.xet import XetFile, find_file, sha256s_of_files


class HeldFile(NamedTuple):
    """A Xet file that the caller may name."""

    sha256: str  # of its bytes; empty without bytes
    bytes: int


_EMPTY = XetFile.empty().name


async def files_of_bucket(
    tx: Tx, actor: Actor, bucket: Repo, hashes: Collection[str]
) -> dict[str, HeldFile]:
    """Return those of the files that objects of a bucket may have, by hash.

    They were uploaded to it, or the caller may read a repository that has them.
    """
    files = await _linked(tx, bucket, hashes, committed=False)
    for name in sorted(set(hashes) - files.keys()):
        file = await find_file(tx, name)
        if file is not None and await _reads_elsewhere(tx, actor, file.sha256):
            files[name] = HeldFile(file.sha256, file.bytes)
    return files


async def files_of_source(
    tx: Tx, actor: Actor, source: RepoId, hashes: Collection[str]
) -> dict[str, HeldFile]:
    """Return those of the files that a repository or bucket has, by hash.

    An old name is valid. A source that the caller may not read has none, like an absent one.
    """
    try:
        try:
            repo = await open_repo(tx, actor, source, Right.READ)
        except RepoMoved as moved:
            repo = await open_repo(tx, actor, moved.target, Right.READ)
    except DENIED:
        return {}
    return await _linked(tx, repo, hashes, committed=True)


async def _linked(
    tx: Tx, repo: Repo, hashes: Collection[str], *, committed: bool
) -> dict[str, HeldFile]:
    sha256s = await sha256s_of_files(tx, repo.pk, sorted(hashes))
    links = await blobs.linked_many(tx, repo.pk, BlobKind.LFS, sorted(set(sha256s.values())))
    files = {
        name: HeldFile(sha256, links[sha256].bytes)
        for name, sha256 in sha256s.items()
        if sha256 in links and (links[sha256].committed or not committed)
    }
    return files | ({_EMPTY: HeldFile("", 0)} if _EMPTY in hashes else {})


async def _reads_elsewhere(tx: Tx, actor: Actor, sha256: str) -> bool:
    for row in await blobs.linking_repos(tx, BlobKey(BlobKind.LFS, sha256)):
        repo = await try_open_repo_by_pk(tx, actor, row.repo_pk, Right.READ)
        if repo is None:
            continue
        link = await blobs.linked(tx, row.repo_pk, BlobKey(BlobKind.LFS, sha256))
        if link is not None and link.committed:
            return True
    return False
