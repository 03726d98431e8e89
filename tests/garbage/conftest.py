"""A hub of each shape, opened without a server, and shortcuts to fill it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, select, update

from hubstead import blobs
from hubstead.accounts import Actor
from hubstead.app import open_storage
from hubstead.blobs import BlobKey, BlobKind, Sha256Verifier
from hubstead.blobs.tables import blobs as blobs_table
from hubstead.blobs.tables import repo_blobs
from hubstead.commits import (
    Changeset,
    Message,
    RefName,
    RepoRequest,
    Storage,
    commit,
    create_branch,
    create_repository,
)
from hubstead.commits.tables import packs
from hubstead.db import Tx, indexed
from hubstead.doctor import Finding, Inspection, run_checks
from hubstead.garbage import GarbageCount, GarbageKind, GarbageState, collect_garbage
from hubstead.ids import Kind, RepoId
from hubstead.outbox.tables import events
from hubstead.repos import Repo, Right, open_repo
from tests.support.factories import a_user
from tests.support.hub import settings_of
from tests.support.rows import reading

DAY_MS = 86_400_000
_AGE_LINKS = indexed(
    update(repo_blobs)
    .values(created_ms=repo_blobs.c.created_ms - bindparam("age_ms"))
    .where(repo_blobs.c.kind == BlobKind.LFS.value)
)
_AGE_PACKS = indexed(update(packs).values(created_ms=packs.c.created_ms - bindparam("age_ms")))
_AGE_EVENTS = indexed(update(events).values(created_ms=events.c.created_ms - bindparam("age_ms")))
_LINKS = reading(
    select(repo_blobs.c.name).where(
        repo_blobs.c.repo_pk == bindparam("which_pk"), repo_blobs.c.kind == BlobKind.LFS.value
    )
)
_BLOBS = reading(
    select(blobs_table.c.name, blobs_table.c.unreferenced_ms).where(
        blobs_table.c.kind == BlobKind.LFS.value
    )
)


@dataclass
class GarbageHub:
    """A hub, and its user Anna."""

    stores: Storage
    anna: Actor

    async def make(self, name: str = "bert") -> Repo:
        return await create_repository(
            self.stores, self.anna, RepoRequest(RepoId(Kind.MODEL, "anna", name))
        )

    async def open(self, repo: Repo) -> Repo:
        return await open_repo(self.stores.db, self.anna, repo.repo_id)

    async def upload(self, repo: Repo, content: bytes, *, hold_ms: int = DAY_MS) -> str:
        """Upload an LFS file; return its sha256."""
        key = BlobKey(BlobKind.LFS, hashlib.sha256(content).hexdigest())
        await self.stores.blobs.put(key, content, Sha256Verifier(key.name))
        await blobs.register_upload(
            self.stores.db,
            self.stores.blobs,
            repo.pk,
            key,
            len(content),
            pusher_pk=self.anna.pk,
            hold_ms=hold_ms,
        )
        return key.name

    async def commit_pointer(
        self, repo: Repo, path: str, content: bytes, *, branch: str = "main"
    ) -> str:
        """Commit a pointer to a stored LFS file."""
        name = hashlib.sha256(content).hexdigest()
        row = await self.open(repo)
        change = Changeset((await self.stores.open_git(row)).draft(), self.stores.settings.commits)
        change.put_pointer(path, name, len(content))
        await self._commit(row, change, branch)
        return name

    async def put(self, repo: Repo, path: str, content: bytes, *, branch: str = "main") -> str:
        """Upload an LFS file and commit it."""
        await self.upload(repo, content)
        return await self.commit_pointer(repo, path, content, branch=branch)

    async def remove(self, repo: Repo, path: str, *, branch: str = "main") -> None:
        row = await self.open(repo)
        change = Changeset((await self.stores.open_git(row)).draft(), self.stores.settings.commits)
        change.remove(path)
        await self._commit(row, change, branch)

    async def branch(self, repo: Repo, name: str, **how: Any) -> None:
        await create_branch(self.stores, self.anna, await self.open(repo), name, **how)

    async def _commit(self, repo: Repo, change: Changeset, branch: str) -> None:
        await commit(
            self.stores,
            self.anna,
            repo,
            target=RefName.branch(branch),
            right=Right.WRITE,
            changeset=change,
            message=Message("x"),
        )

    # -- age and garbage -------------------------------------------------------------------

    async def pass_time(self, days: float) -> None:
        """Age links and events."""

        async def age(tx: Tx) -> None:
            await tx.run(_AGE_LINKS, age_ms=int(days * DAY_MS))
            await tx.run(_AGE_EVENTS, age_ms=int(days * DAY_MS))

        await self.stores.db.write(age)

    async def age_packs(self, days: float) -> None:
        """Age packs of git."""
        await self.stores.db.write(lambda tx: tx.run(_AGE_PACKS, age_ms=int(days * DAY_MS)))

    async def gc(
        self, *, days: float = 0, remove: bool = True, git: bool = False, **how: Any
    ) -> list[GarbageCount]:
        grace_ms = int(days * DAY_MS)
        counts = await collect_garbage(
            self.stores, grace_ms=grace_ms, remove=remove, git=git, **how
        )
        return [count for count in counts if count.things]

    async def links(self, repo: Repo) -> set[str]:
        return {row.name for row in await self.stores.db.all(_LINKS, which_pk=repo.pk)}

    async def unreferenced(self) -> set[str]:
        rows = await self.stores.db.all(_BLOBS)
        return {row.name for row in rows if row.unreferenced_ms is not None}

    async def findings(self) -> list[Finding]:
        return [finding async for finding in run_checks(Inspection(self.stores))]


def of(
    counts: list[GarbageCount], what: GarbageKind, when: GarbageState = GarbageState.NOW
) -> list[GarbageCount]:
    return [count for count in counts if count.what is what and count.when is when]


@asynccontextmanager
async def _place(stores_of: Any) -> AsyncIterator[GarbageHub]:
    async with stores_of as stores:
        yield GarbageHub(stores, await a_user(stores.db, "anna"))


@pytest.fixture(params=["embedded", "company"])
def hub(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    run: Callable[[Coroutine[Any, Any, Any]], Any],
) -> Iterator[GarbageHub]:
    """A hub of one shape."""
    settings = settings_of(request.param, tmp_path / "data", request)
    settings.data.mkdir()
    context = _place(open_storage(settings, make=True))
    yield run(context.__aenter__())
    run(context.__aexit__(None, None, None))
