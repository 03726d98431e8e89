"""A hub with content, in both shapes: files and SQLite, S3 and PostgreSQL."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hubstead import blobs
from hubstead.accounts import Actor
from hubstead.blobs import BlobKey, BlobKind, Sha256Verifier, open_blobs
from hubstead.commits import (
    Changeset,
    Message,
    RefName,
    RepoRequest,
    Storage,
    commit,
    create_repository,
    create_tag,
)
from hubstead.db import open_db
from hubstead.gitstore import GitStore
from hubstead.ids import Kind, RepoId
from hubstead.repos import Repo, Right, open_repo
from hubstead.settings import load
from tests.support.factories import a_user

CARD = b"---\nlicense: mit\npipeline_tag: text-generation\n---\n# Bert\n"
WEIGHTS = b"weights" * 1000
LFS = BlobKey(BlobKind.LFS, hashlib.sha256(WEIGHTS).hexdigest())


@dataclass
class DoctorHub:
    """A hub with one repository of three commits, a tag and an LFS file."""

    stores: Storage
    anna: Actor
    repo: Repo
    address: str  # of the blobs


async def filled(stores: Storage, address: str) -> DoctorHub:
    anna = await a_user(stores.db, "anna")
    name = RepoId(Kind.MODEL, "anna", "bert")
    repo = await create_repository(stores, anna, RepoRequest(name))
    await stores.blobs.put(LFS, WEIGHTS, Sha256Verifier(LFS.name))
    size, day_ms = len(WEIGHTS), 86_400_000
    await blobs.register_upload(
        stores.db, stores.blobs, repo.pk, LFS, size, pusher_pk=anna.pk, hold_ms=day_ms
    )
    git = await stores.open_git(repo)
    change = Changeset(git.draft(), stores.settings.commits)
    await change.put("README.md", CARD)
    change.put_pointer("model.safetensors", LFS.name, size)
    await commit(
        stores,
        anna,
        repo,
        target=RefName.branch("main"),
        right=Right.WRITE,
        changeset=change,
        message=Message("weights"),
    )
    row = await open_repo(stores.db, anna, name)
    await create_tag(stores, anna, row, "v1", revision="main", message="first")
    change = Changeset((await stores.open_git(row)).draft(), stores.settings.commits)
    await change.put("more.txt", b"more\n")
    await commit(
        stores,
        anna,
        row,
        target=RefName.branch("main"),
        right=Right.WRITE,
        changeset=change,
        message=Message("more"),
    )
    return DoctorHub(stores, anna, await open_repo(stores.db, anna, name), address)


@pytest.fixture(params=["files", "company"])
def sample(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    run: Callable[[Coroutine[Any, Any, Any]], Any],
) -> Iterator[DoctorHub]:
    if request.param == "files":
        database, options = request.getfixturevalue("sqlite_url"), None
        address = (tmp_path / "blobs").as_uri()
    else:
        database = request.getfixturevalue("postgresql_url")
        server = request.getfixturevalue("s3_server")
        options, address = server.options, server.fresh_url()
    store = open_blobs(address, options=options)
    db = run(open_db(database))
    stores = Storage(
        db=db,
        git=GitStore(tmp_path / "git"),
        blobs=store,
        settings=load(data=tmp_path),
        packs_are_blobs=request.param == "company",
    )
    yield run(filled(stores, address))
    run(store.close())
    run(db.close())
