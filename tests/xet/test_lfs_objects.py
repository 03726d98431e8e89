"""The Xet files of LFS objects, and which repositories look them up."""

from __future__ import annotations

import secrets

from hubstead.blobs import BlobKey, BlobKind, Link, link_blobs
from hubstead.blobs.tables import blobs
from hubstead.db import Database, Tx, indexed, insert_into
from hubstead.repos import Repo
from hubstead.xet import LfsObject, find_lfs_object, sha256s_of_files, xet_hashes
from hubstead.xet.tables import xet_files
from tests.support.factories import a_repo, a_user

_BLOB = indexed(insert_into(blobs, "kind", "name", "bytes", "created_ms", "reconstructable_ms"))
_FILE = indexed(
    insert_into(xet_files, "name", "sha256", "bytes", "terms", "created_ms", "touched_ms")
)


def a_hash() -> str:
    return secrets.token_hex(32)


async def an_object(db: Database, *repos: Repo, files: int = 0, plain: bool = False) -> str:
    """Add the row of an object that ``repos`` link, with ``files`` reconstructions."""
    sha256 = a_hash()
    key = BlobKey(BlobKind.LFS, sha256)

    async def add(tx: Tx) -> None:
        reconstructable_ms = None if plain else 0
        await tx.run(
            _BLOB,
            kind=key.kind.value,
            name=sha256,
            bytes=7,
            created_ms=1,
            reconstructable_ms=reconstructable_ms,
        )
        for at in range(files):
            facts = {"name": f"{at}{sha256[1:]}", "bytes": 7, "terms": b""}
            await tx.run(_FILE, sha256=sha256, created_ms=at, touched_ms=at, **facts)
        for repo in repos:
            await link_blobs(tx, repo.pk, [Link(key, 7, "w.bin")], pusher_pk=None)

    await db.write(add)
    return sha256


async def test_a_lookup_returns_how_an_object_is_stored(db: Database) -> None:
    bert = await a_repo(db, await a_user(db))
    for plain, files in ((True, 0), (True, 1), (False, 1)):
        sha256 = await an_object(db, bert, files=files, plain=plain)
        file = f"0{sha256[1:]}" if files else None
        assert await find_lfs_object(db, bert.pk, sha256) == LfsObject(
            sha256, bytes=7, committed=True, is_plain=plain, file=file
        )


async def test_of_several_files_the_lookup_returns_the_oldest(db: Database) -> None:
    bert = await a_repo(db, await a_user(db))
    sha256 = await an_object(db, bert, files=3)
    lfs_object = await find_lfs_object(db, bert.pk, sha256)
    assert lfs_object is not None
    assert lfs_object.file == f"0{sha256[1:]}"
    assert await xet_hashes(db, bert.pk, [sha256]) == {sha256: lfs_object.file}


async def test_a_lookup_returns_objects_of_its_repository_only(db: Database) -> None:
    anna = await a_user(db)
    bert, gpt = await a_repo(db, anna, "anna/bert"), await a_repo(db, anna, "anna/gpt")
    own, shared = await an_object(db, bert, files=1), await an_object(db, bert, gpt, files=1)
    plain = await an_object(db, bert, plain=True)
    names = [own, shared, plain, a_hash()]
    assert (await xet_hashes(db, bert.pk, names)).keys() == {own, shared}
    assert (await xet_hashes(db, gpt.pk, names)).keys() == {shared}
    assert await find_lfs_object(db, gpt.pk, own) is None
    assert await xet_hashes(db, gpt.pk, []) == {}


async def test_files_are_looked_up_by_their_sha256(db: Database) -> None:
    anna = await a_user(db)
    bert, gpt = await a_repo(db, anna, "anna/bert"), await a_repo(db, anna, "anna/gpt")
    sha256 = await an_object(db, bert, files=2)
    names = [f"{at}{sha256[1:]}" for at in range(3)]
    assert await sha256s_of_files(db, bert.pk, names) == {names[0]: sha256, names[1]: sha256}
    assert await sha256s_of_files(db, gpt.pk, names) == {}
    assert await sha256s_of_files(db, bert.pk, []) == {}
