"""Files of other repositories: a missing right is an answer, a database error is not."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from hubstead.blobs import BlobKey, BlobKind, Sha256Verifier, register_upload
from hubstead.commits import Changeset, Message, RefName, commit
from hubstead.commits.linkable import linkable_size
from hubstead.db import Database, Statement
from hubstead.errors import BlobMissing, Unavailable
from hubstead.repos import Repo, Right, measure_deduplication
from tests.commits.conftest import CommitNode
from tests.support.factories import a_user

R = TypeVar("R")
DATA = b"weights " * 4000
KEY = BlobKey(BlobKind.LFS, hashlib.sha256(DATA).hexdigest())


@dataclass
class Interrupted:
    """A reader whose database fails when a query asks who may open a repository."""

    db: Database

    async def one(self, statement: Statement[R], /, **values: object) -> R | None:
        self._fail(values)
        return await self.db.one(statement, **values)

    async def single(self, statement: Statement[R], /, **values: object) -> R:
        self._fail(values)
        return await self.db.single(statement, **values)

    async def all(self, statement: Statement[R], /, **values: object) -> list[R]:
        self._fail(values)
        return await self.db.all(statement, **values)

    def _fail(self, values: dict[str, Any]) -> None:
        if "actor_pk" in values:
            raise Unavailable(reason="the connection to the database was lost")


async def with_the_file(node: CommitNode, name: str, **how: Any) -> Repo:
    """Create a repository whose main branch has a pointer to the LFS file."""
    repo = await node.make(name, **how)
    await node.stores.blobs.put(KEY, DATA, Sha256Verifier(KEY.name, len(DATA)))
    await register_upload(
        node.db, node.stores.blobs, repo.pk, KEY, len(DATA), pusher_pk=node.anna.pk, hold_ms=60_000
    )
    change = Changeset((await node.stores.open_git(repo)).draft(), node.stores.settings.commits)
    change.put_pointer("w.bin", KEY.name, len(DATA))
    await commit(
        node.stores,
        node.anna,
        repo,
        target=RefName.branch("main"),
        right=Right.WRITE,
        changeset=change,
        message=Message("w"),
    )
    return repo


async def test_a_file_of_a_readable_repository_may_be_linked_and_one_of_a_hidden_one_not(
    node: CommitNode,
) -> None:
    await with_the_file(node, "bert", private=True)
    wants = await node.make("other")
    how: dict[str, Any] = {"path": "w.bin", "key": KEY, "size": None}
    assert await linkable_size(node.db, node.anna, wants, **how) == len(DATA)
    eve = await a_user(node.db, "eve")
    with pytest.raises(BlobMissing):
        await linkable_size(node.db, eve, wants, **how)


async def test_a_database_error_is_not_a_missing_file(node: CommitNode) -> None:
    await with_the_file(node, "bert")
    wants = await node.make("other")
    with pytest.raises(Unavailable):
        await linkable_size(
            Interrupted(node.db), node.anna, wants, path="w.bin", key=KEY, size=None
        )


async def test_a_database_error_is_not_an_unshared_file(node: CommitNode) -> None:
    bert, other = await with_the_file(node, "bert"), await with_the_file(node, "other")
    shared = await measure_deduplication(node.db, node.anna, bert)
    assert [one.repo.pk for one in shared.shared_with] == [other.pk]
    with pytest.raises(Unavailable):
        await measure_deduplication(Interrupted(node.db), node.anna, bert)
