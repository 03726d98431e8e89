"""Hubs with content, in both shapes, and empty stores for restored ones."""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest

from hubstead import blobs
from hubstead.accounts import Actor
from hubstead.app import open_storage
from hubstead.backup import (
    BackupFolder,
    Manifest,
    Progress,
    Snapshot,
    create_backup,
    marked_folder,
    restore_snapshot,
    verify_restore,
)
from hubstead.blobs import BlobKey, BlobKind, Sha256Verifier
from hubstead.commits import (
    Changeset,
    Message,
    RefName,
    RepoRequest,
    Storage,
    commit,
    create_repository,
    duplicate_repository,
)
from hubstead.ids import Kind, RepoId, new_object_id
from hubstead.repos import Repo, Right, open_repo
from hubstead.settings import Settings
from hubstead.xet import chunk_hash, encode_record, merkle_root, to_text
from tests.support.factories import a_user
from tests.support.hub import SHAPES, settings_of

__all__ = ["SHAPES"]


def quiet() -> Progress:
    return Progress(lambda _progress: None)


Places: TypeAlias = Callable[[str], Settings]
WEIGHTS = random.Random(1).randbytes(300_000)
LFS = BlobKey(BlobKind.LFS, hashlib.sha256(WEIGHTS).hexdigest())


@pytest.fixture
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Places:
    """Settings of a hub of a shape over empty stores."""
    configs: list[Settings] = []

    def place(shape: str) -> Settings:
        configs.append(settings_of(shape, tmp_path / f"{shape}-{len(configs)}", request))
        return configs[-1]

    return place


@pytest.fixture
def folder(tmp_path: Path) -> BackupFolder:
    return BackupFolder(tmp_path / "backup", make=True)


@dataclass
class BackupHub:
    """A hub with two repositories, LFS objects and a xorb."""

    stores: Storage
    anna: Actor
    repo: Repo

    async def add_file(self, path: str, data: bytes) -> None:
        """Commit an LFS file."""
        stores, key = self.stores, BlobKey(BlobKind.LFS, hashlib.sha256(data).hexdigest())
        await stores.blobs.put(key, data, Sha256Verifier(key.name))
        await blobs.register_upload(
            stores.db,
            stores.blobs,
            self.repo.pk,
            key,
            len(data),
            pusher_pk=self.anna.pk,
            hold_ms=86_400_000,
        )
        repo = await open_repo(stores.db, self.anna, self.repo.repo_id)
        change = Changeset((await stores.open_git(repo)).draft(), stores.settings.commits)
        change.put_pointer(path, key.name, len(data))
        message = Message(f"add {path}")
        await commit(
            stores,
            self.anna,
            repo,
            target=RefName.branch("main"),
            right=Right.WRITE,
            changeset=change,
            message=message,
        )

    async def add_xorb(self, *chunks: bytes) -> BlobKey:
        """Store a xorb as an upload does, and return its blob."""
        name = to_text(merkle_root([(chunk_hash(chunk), len(chunk)) for chunk in chunks]))
        async with self.stores.xet.receive_xorb(name, self.repo.pk) as upload:
            for chunk in chunks:
                upload.feed(encode_record(chunk))
        assert upload.is_new
        return upload.key


async def filled(stores: Storage) -> BackupHub:
    anna = await a_user(stores.db, "anna")
    name = RepoId(Kind.MODEL, "anna", "bert")
    sample = BackupHub(stores, anna, await create_repository(stores, anna, RepoRequest(name)))
    await sample.add_file("model.safetensors", WEIGHTS)
    await sample.add_file("more.bin", b"more" * 1000)
    await sample.add_xorb(b"one chunk" * 2000, random.Random(2).randbytes(50_000))
    copy = RepoRequest(RepoId(Kind.MODEL, "anna", f"copy-{new_object_id()[:4]}"))
    await duplicate_repository(stores, anna, await open_repo(stores.db, anna, name), copy)
    return sample


Filled: TypeAlias = Callable[[str], AbstractAsyncContextManager[BackupHub]]


@pytest.fixture
def hub(places: Places) -> Filled:
    """Create a hub of a shape with content, opened until the block ends."""

    @asynccontextmanager
    async def make(shape: str) -> AsyncIterator[BackupHub]:
        async with open_storage(places(shape), make=True) as stores:
            yield await filled(stores)

    return make


async def backed_up(
    sample: BackupHub, folder: BackupFolder, *, keep_going: bool = False
) -> Manifest:
    with folder.locked(alone=True):
        return await create_backup(sample.stores, folder, quiet(), keep_going=keep_going)


async def restored(
    settings: Settings, folder: BackupFolder, snapshot: Snapshot | None = None
) -> None:
    with marked_folder(settings.data):
        async with open_storage(settings, make=True, restoring=True) as stores:
            await restore_snapshot(stores, folder, snapshot or folder.snapshot(), quiet())


async def differences(
    settings: Settings, folder: BackupFolder, snapshot: Snapshot | None = None
) -> list[str]:
    async with open_storage(settings) as stores:
        wanted = snapshot or folder.snapshot()
        return [line async for line in verify_restore(stores, folder, wanted, quiet())]
