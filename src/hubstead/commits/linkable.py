"""Which LFS objects a repository may link: knowing a hash is not owning the bytes."""

from __future__ import annotations

from collections.abc import Iterable

from hubstead import blobs
from hubstead.accounts import Actor
from hubstead.blobs import BlobKey, BlobKind, Link, LinkedBlob
from hubstead.db import Reader
from hubstead.errors import BlobMissing, InvalidInput
from hubstead.repos import Repo, Right, allows, try_open_repo_by_pk


async def linkable_size(
    db: Reader, actor: Actor, repo: Repo, *, path: str, key: BlobKey, size: int | None
) -> int:
    """Return the size in bytes of an LFS object that the repository may link.

    The object was uploaded to this repository, or the writer may read the files of another one
    that links it. For a caller who may only propose, what others uploaded and no commit names does
    not count: nobody who reads may see it.

    Args:
        db: The database, or the transaction that is going to link it.
        actor: The writer.
        repo: The repository.
        path: The file, for messages.
        key: The object.
        size: The size in the pointer, if it has one.

    Raises:
        BlobMissing: the repository may not link it.
        InvalidInput: the object has another size.
    """
    row = _usable(await blobs.linked(db, repo.pk, key), actor, repo)
    return await _size_of(db, actor, row, path=path, key=key, size=size)


def _usable(row: LinkedBlob | None, actor: Actor, repo: Repo) -> LinkedBlob | None:
    if row is None or row.is_of(actor.pk) or allows(repo, actor, Right.WRITE):
        return row
    return None


async def _size_of(
    db: Reader, actor: Actor, row: LinkedBlob | None, *, path: str, key: BlobKey, size: int | None
) -> int:
    stored = row.bytes if row else await _size_elsewhere(db, actor, key)
    if stored is None:
        raise BlobMissing(name=key.name, path=path)
    if size is not None and size != stored:
        raise InvalidInput(reason=f"the LFS object of {path} has {stored} bytes, not {size}")
    return stored


async def _size_elsewhere(db: Reader, actor: Actor, key: BlobKey) -> int | None:
    for row in await blobs.linking_repos(db, key):
        if await try_open_repo_by_pk(db, actor, row.repo_pk, Right.READ):
            return row.bytes
    return None


async def check_linkable(db: Reader, actor: Actor, repo: Repo, links: Iterable[Link]) -> None:
    """Refuse links that the repository may not have.

    Raises:
        BlobMissing, InvalidInput: as `linkable_size`.
    """
    links = list(links)
    rows = await blobs.linked_many(db, repo.pk, BlobKind.LFS, [link.key.name for link in links])
    for link in links:
        row, path = _usable(rows.get(link.key.name), actor, repo), link.path or ""
        await _size_of(db, actor, row, path=path, key=link.key, size=link.bytes)
