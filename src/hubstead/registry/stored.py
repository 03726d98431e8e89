"""Rows of computed manifests and blobs."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from sqlalchemy import and_, bindparam, delete, exists, select, update

from hubstead.db import DatabaseNow, Reader, Tx, database_now_ms, indexed, insert
from hubstead.registry.manifests import Form, Manifest
from hubstead.registry.tables import registry_blobs, registry_manifests
from hubstead.repos.tables import repos

#: Raised when the mapping changes, so that manifests of a commit are computed again.
MAPPER = 1
#: How long a row stays after its last use, once its commit is not the head any more.
RETENTION_MS = 90 * 86_400_000
#: How exact the time of the last use is.
_USE_MS = 86_400_000


class StoredManifest(NamedTuple):
    """A manifest as it is sent."""

    digest: str
    commit_oid: str
    media_type: str
    body: bytes
    used_ms: int


class ComputedBlob(NamedTuple):
    """A blob of the view that is no LFS object: its bytes, or the id of a file object in git."""

    commit_oid: str
    body: bytes | None
    file_oid: str | None
    used_ms: int


_MANIFEST = select(*(registry_manifests.c[name] for name in StoredManifest._fields)).where(
    registry_manifests.c.repo_pk == bindparam("which_pk")
)
_BY_DIGEST = indexed(
    _MANIFEST.where(registry_manifests.c.digest == bindparam("which_digest")), StoredManifest
)
_BY_FILE = indexed(
    _MANIFEST.where(
        registry_manifests.c.commit_oid == bindparam("which_commit"),
        registry_manifests.c.path == bindparam("which_path"),
        registry_manifests.c.form == bindparam("which_form"),
        registry_manifests.c.mapper == MAPPER,
    ),
    StoredManifest,
)
_BLOB = indexed(
    select(*(registry_blobs.c[name] for name in ComputedBlob._fields)).where(
        registry_blobs.c.repo_pk == bindparam("which_pk"),
        registry_blobs.c.digest == bindparam("which_digest"),
    ),
    ComputedBlob,
)
_NEW_MANIFEST = insert(registry_manifests).values(
    {
        column.name: DatabaseNow() if column.name == "used_ms" else bindparam(column.name)
        for column in registry_manifests.columns
    }
)
_SAVE_MANIFEST = indexed(
    _NEW_MANIFEST.on_conflict_do_update(
        index_elements=["repo_pk", "digest"],
        set_={
            name: _NEW_MANIFEST.excluded[name]
            for name in ("commit_oid", "form", "path", "mapper", "used_ms")
        },
    )
)
_NEW_BLOB = insert(registry_blobs).values(
    {
        column.name: DatabaseNow() if column.name == "used_ms" else bindparam(column.name)
        for column in registry_blobs.columns
    }
)
_SAVE_BLOB = indexed(
    _NEW_BLOB.on_conflict_do_update(
        index_elements=["repo_pk", "digest"],
        set_={name: _NEW_BLOB.excluded[name] for name in ("commit_oid", "used_ms")},
    )
)
_TOUCH = tuple(
    indexed(
        update(table)
        .values(used_ms=DatabaseNow())
        .where(
            table.c.repo_pk == bindparam("which_pk"),
            table.c.commit_oid == bindparam("which_commit"),
        )
    )
    for table in (registry_manifests, registry_blobs)
)
_DELETE_UNUSED = tuple(
    indexed(
        delete(table).where(
            table.c.used_ms < bindparam("before_ms"),
            ~exists().where(
                and_(repos.c.pk == table.c.repo_pk, repos.c.head == table.c.commit_oid)
            ),
        )
    )
    for table in (registry_manifests, registry_blobs)
)


async def find_manifest(db: Reader, repo_pk: int, digest: str) -> StoredManifest | None:
    """Return the manifest with this sha256 (64 hex digits) if the repository ever had it."""
    return await db.one(_BY_DIGEST, which_pk=repo_pk, which_digest=digest)


async def find_manifest_of(
    db: Reader, repo_pk: int, commit: str, path: str, form: Form
) -> StoredManifest | None:
    """Return the stored manifest of a model file at a commit."""
    return await db.one(
        _BY_FILE, which_pk=repo_pk, which_commit=commit, which_path=path, which_form=form.value
    )


async def find_computed_blob(db: Reader, repo_pk: int, digest: str) -> ComputedBlob | None:
    """Return the computed blob with this sha256 if a manifest of the repository ever named it."""
    return await db.one(_BLOB, which_pk=repo_pk, which_digest=digest)


async def save_manifest(
    tx: Tx,
    *,
    repo_pk: int,
    commit: str,
    path: str,
    form: Form,
    manifest: Manifest,
    git_files: dict[str, str],
) -> None:
    """Store a manifest and its computed blobs.

    Args:
        tx: The transaction.
        repo_pk: The repository.
        commit: The commit.
        path: The path of the model file.
        form: The form of the manifest.
        manifest: The manifest.
        git_files: File objects in git that are layers, by the sha256 of their content.
    """
    for digest, body in manifest.blobs.items():
        await tx.run(
            _SAVE_BLOB, repo_pk=repo_pk, digest=digest, commit_oid=commit, body=body, file_oid=None
        )
    for digest, oid in git_files.items():
        await tx.run(
            _SAVE_BLOB, repo_pk=repo_pk, digest=digest, commit_oid=commit, body=None, file_oid=oid
        )
    await tx.run(
        _SAVE_MANIFEST,
        repo_pk=repo_pk,
        digest=hashlib.sha256(manifest.body).hexdigest(),
        commit_oid=commit,
        form=form.value,
        path=path,
        mapper=MAPPER,
        media_type=manifest.media_type,
        body=manifest.body,
    )


async def touch(tx: Tx, *, repo_pk: int, commit: str) -> None:
    """Note that the manifests of a commit and their blobs are in use."""
    for statement in _TOUCH:
        await tx.run(statement, which_pk=repo_pk, which_commit=commit)


async def is_due(db: Reader, row: StoredManifest) -> bool:
    """Tell whether the last use of a row was so long ago that a new one is noted."""
    return row.used_ms < await database_now_ms(db) - _USE_MS


async def delete_unused(tx: Tx, *, before_ms: int) -> int:
    """Delete rows last used before ``before_ms`` whose commit is no head; return how many."""
    return sum([await tx.run(statement, before_ms=before_ms) for statement in _DELETE_UNUSED])
