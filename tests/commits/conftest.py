"""Nodes that share a database and a store of blobs, each with a folder of git of its own."""

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
    """One server's stores, and short ways to use them."""

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
        chosen = self.stores.settings.replace(**settings)
        return CommitNode(replace(self.stores, settings=chosen), self.anna)

    async def make(self, name: str = "bert", maker: Actor | None = None, **how: Any) -> Repo:
        wanted = RepoRequest(RepoId(Kind.MODEL, "", name), **how)
        return await create_repository(self.stores, maker or self.anna, wanted)

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
        git, opened = await self.git(repo), await self.open(repo)
        assert opened.head is not None
        found = {entry.path: git.blob(entry.oid) for entry in git.walk_files(opened.head)}
        found.pop(".gitattributes")
        return found


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
