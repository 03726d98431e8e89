"""Nodes that share a database and a blob store, with separate git folders."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from hubstead.accounts import Actor
from hubstead.blobs import open_blobs
from hubstead.commits import (
    Changeset,
    CommitResult,
    Message,
    RefName,
    RepoRequest,
    Storage,
    commit,
    create_repository,
)
from hubstead.db import Database
from hubstead.gitstore import GitRepo, GitStore
from hubstead.ids import Kind, RepoId
from hubstead.repos import Repo, Right, open_repo
from hubstead.settings import Settings
from tests.support.factories import a_user


@dataclass
class CommitNode:
    """The stores of one node, and shortcuts for tests."""

    stores: Storage
    anna: Actor

    @property
    def db(self) -> Database:
        return self.stores.db

    def other(self, folder: str) -> CommitNode:
        """Return another node over the same database and store."""
        git = GitStore(self.stores.settings.data / folder)
        return CommitNode(
            Storage(self.db, git, self.stores.blobs, self.stores.settings, True), self.anna
        )

    def limited(self, **settings: Any) -> CommitNode:
        """Return the same node with other settings."""
        config = self.stores.settings.replace(**settings)
        return CommitNode(replace(self.stores, settings=config), self.anna)

    async def make(self, name: str = "bert", creator: Actor | None = None, **how: Any) -> Repo:
        request = RepoRequest(RepoId(Kind.MODEL, "", name), **how)
        return await create_repository(self.stores, creator or self.anna, request)

    async def open(self, repo: Repo, actor: Actor | None = None) -> Repo:
        return await open_repo(self.db, actor or self.anna, repo.repo_id, Right.WRITE)

    async def git(self, repo: Repo) -> GitRepo:
        return await self.stores.open_git(await self.open(repo))

    async def put(self, repo: Repo, files: dict[str, bytes], **how: Any) -> CommitResult:
        """Commit files to main."""
        actor = how.pop("actor", self.anna)
        change = Changeset((await self.stores.open_git(repo)).draft(), self.stores.settings.commits)
        for path, content in files.items():
            await change.put(path, content)
        return await commit(
            self.stores,
            actor,
            repo,
            target=RefName.branch("main"),
            right=Right.WRITE,
            changeset=change,
            message=Message("put"),
            **how,
        )

    async def files(self, repo: Repo) -> dict[str, bytes]:
        git, row = await self.git(repo), await self.open(repo)
        assert row.head is not None
        files = {entry.path: git.blob(entry.oid) for entry in git.walk_files(row.head)}
        files.pop(".gitattributes")
        return files


@pytest.fixture
def node(
    db: Database, tmp_path: Path, run: Callable[[Coroutine[Any, Any, Any]], Any]
) -> Iterator[CommitNode]:
    """A node over each database, whose packs are blobs in files."""
    settings = Settings(data=tmp_path)
    store = open_blobs((tmp_path / "blobs").as_uri())
    stores = Storage(db, GitStore(tmp_path / "git"), store, settings, packs_are_blobs=True)
    yield CommitNode(stores, run(a_user(db, "anna")))
    run(store.close())
