"""Batches: additions, copies and deletions of objects, applied in one transaction.

Valid operations apply even if others of the batch fail. Knowing a hash is not owning the bytes: an
addition names a file that was uploaded to the bucket, or that the caller may read elsewhere; a copy
names one that the source has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from sqlalchemy import bindparam, delete, select, update

from hubstead import blobs
from hubstead.accounts import Actor
from hubstead.blobs import BlobKey, BlobKind, Link
from hubstead.buckets.names import folders_of, name_fault
from hubstead.buckets.objects import IN_BUCKET, BucketObject, find_objects
from hubstead.buckets.sources import HeldFile, files_of_bucket, files_of_source
from hubstead.buckets.tables import bucket_objects, buckets
from hubstead.commits import require_room_for_bytes
from hubstead.db import Database, DatabaseNow, Tx, any_of, indexed, insert_into, scan
from hubstead.ids import RepoId
from hubstead.repos import Repo, Right, count_content, reopen

#: Milliseconds of the years 1000 and 9999, whose numbers have four digits in ISO 8601.
_FIRST_MS, _LAST_MS = -30_610_224_000_000, 253_402_300_799_999
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,80}/[\w.+-]{1,80}(; ?[\x20-\x7e]{1,200})?", re.ASCII)
_UNKNOWN_FILE = "no file of this hash was uploaded to this bucket"
_NOT_IN_SOURCE = "the source does not exist, or has no file of this hash"


class AddObject(NamedTuple):
    """Adds or overwrites an object whose bytes are a Xet file."""

    path: str
    file: str
    mtime_ms: int | None = None
    mtime_nanos: int | None = None
    content_type: str | None = None


class CopyObject(NamedTuple):
    """Adds or overwrites an object with a file of a repository or bucket."""

    added: AddObject
    source: RepoId | None  # None: its name is not valid

    @property
    def path(self) -> str:
        """The name of the new object."""
        return self.added.path


class DeleteObject(NamedTuple):
    """Deletes an object; one that does not exist is deleted already."""

    path: str


Operation: TypeAlias = AddObject | CopyObject | DeleteObject


class BatchResult(NamedTuple):
    """The outcome of a batch."""

    succeeded: int
    failed: list[tuple[str, str]]  # name and reason


_UPSERT_COLUMNS = tuple(name for name in BucketObject._fields if name != "uploaded_ms")
_NEW = insert_into(bucket_objects, "repo_pk", *_UPSERT_COLUMNS).values(uploaded_ms=DatabaseNow())
_UPSERT = indexed(
    _NEW.on_conflict_do_update(
        index_elements=["repo_pk", "path"],
        set_={
            name: _NEW.excluded[name]
            for name in (*_UPSERT_COLUMNS, "uploaded_ms")
            if name != "path"
        },
    )
)
_DELETE = indexed(
    delete(bucket_objects).where(IN_BUCKET, bucket_objects.c.path == bindparam("which_path"))
)
_STILL_NAMED = scan(
    select(bucket_objects.c.sha256)
    .where(IN_BUCKET, any_of(bucket_objects.c.sha256, "sha256s"))
    .distinct(),
    str,
)
_COUNT = indexed(
    update(buckets)
    .values(
        objects=buckets.c.objects + bindparam("more_objects"),
        bytes=buckets.c.bytes + bindparam("more_bytes"),
    )
    .where(buckets.c.repo_pk == bindparam("which_pk"))
)
_BELOW = indexed(
    select(bucket_objects.c.path)
    .where(
        IN_BUCKET,
        bucket_objects.c.path >= bindparam("start"),
        bucket_objects.c.path < bindparam("until"),
    )
    .order_by(bucket_objects.c.path)
    .limit(bindparam("most")),
    str,
)


def _fault(added: AddObject) -> str | None:
    if added.mtime_ms is not None and not _FIRST_MS <= added.mtime_ms <= _LAST_MS:
        return "mtime must be in milliseconds, of the years 1000 to 9999"
    if added.content_type is not None and not _MEDIA_TYPE.fullmatch(added.content_type):
        return "contentType must be a media type such as text/plain"
    return None


async def apply_batch(
    db: Database,
    actor: Actor,
    bucket: Repo,
    operations: Sequence[Operation],
    *,
    max_owner_bytes: int,
) -> BatchResult:
    """Apply every valid operation of a batch, in its order, and return the others as failed.

    Raises:
        Those of ``open_repo`` (right WRITE).
        LimitReached: the owner would have more than ``max_owner_bytes``; nothing is applied.
        BlobMissing: the bytes of a file were deleted meanwhile; nothing is applied.
    """
    return await db.write(_apply, actor, bucket, operations, max_owner_bytes)


async def _apply(
    tx: Tx, actor: Actor, bucket: Repo, operations: Sequence[Operation], max_owner_bytes: int
) -> BatchResult:
    repo = await reopen(tx, actor, bucket, Right.WRITE)
    batch = _Batch(tx, actor, repo)
    await batch.prepare(operations)
    for operation in operations:
        await batch.add(operation)
    more_bytes = await batch.write()
    await require_room_for_bytes(tx, repo.owner, repo.owner_pk, max_owner_bytes, created=more_bytes)
    await count_content(tx, repo.pk, packs=0, used_bytes=more_bytes)
    return BatchResult(len(operations) - len(batch.failed), batch.failed)


@dataclass
class _Batch:
    """One batch inside its transaction, which has locked the bucket."""

    tx: Tx
    actor: Actor
    repo: Repo
    failed: list[tuple[str, str]] = field(default_factory=list)
    _present: dict[str, BucketObject] = field(default_factory=dict)
    _ahead: set[str] = field(default_factory=set)  # names that the batch deletes
    _final: dict[str, tuple[AddObject, HeldFile] | None] = field(default_factory=dict)
    _folders: dict[str, int] = field(default_factory=dict)  # of the added objects
    _own: dict[str, HeldFile] = field(default_factory=dict)
    _sources: dict[RepoId | None, dict[str, HeldFile]] = field(default_factory=dict)

    async def prepare(self, operations: Sequence[Operation]) -> None:
        """Read what the operations name."""
        valid = [one for one in operations if name_fault(one.path) is None]
        names = {one.path for one in valid}
        names |= {folder for one in valid for folder in folders_of(one.path)}
        self._present = await find_objects(self.tx, self.repo.pk, sorted(names))
        self._ahead = {one.path for one in valid if isinstance(one, DeleteObject)}
        hashes = {one.file for one in valid if isinstance(one, AddObject)}
        self._own = await files_of_bucket(self.tx, self.actor, self.repo, hashes)
        copies: dict[RepoId, set[str]] = {}
        for one in valid:
            if isinstance(one, CopyObject) and one.source is not None:
                copies.setdefault(one.source, set()).add(one.added.file)
        for source, files in copies.items():
            self._sources[source] = await files_of_source(self.tx, self.actor, source, files)

    async def add(self, operation: Operation) -> None:
        """Take an operation into the batch, or list it as failed."""
        reason = name_fault(operation.path)
        if reason is None and not isinstance(operation, DeleteObject):
            reason = await self._take(operation)
        elif reason is None:
            self._remove(operation.path)
        if reason is not None:
            self.failed.append((operation.path, reason))

    async def _take(self, operation: AddObject | CopyObject) -> str | None:
        if isinstance(operation, CopyObject):
            added = operation.added
            held = self._sources.get(operation.source, {}).get(added.file)
            missing = _NOT_IN_SOURCE
        else:
            added, held, missing = operation, self._own.get(operation.file), _UNKNOWN_FILE
        if held is None:
            return missing
        fault = _fault(added) or await self._clash(added.path)
        if fault is not None:
            return fault
        if self._final.get(added.path) is None:
            for folder in folders_of(added.path):
                self._folders[folder] = self._folders.get(folder, 0) + 1
        self._final[added.path] = added, held
        return None

    def _remove(self, path: str) -> None:
        if self._final.get(path) is not None:
            for folder in folders_of(path):
                self._folders[folder] -= 1
        self._final[path] = None

    async def _clash(self, path: str) -> str | None:
        """Return why a name cannot be a file and a folder at once, or None."""
        for folder in folders_of(path):
            added = self._final.get(folder)
            stays = folder in self._present and folder not in self._ahead
            if added is not None or (stays and folder not in self._final):
                return f"{folder} is a file already, so it cannot be a folder"
        if path in self._present:
            return None
        is_folder = self._folders.get(path, 0) > 0
        if is_folder or await self._has_objects_below(path):
            return "the path is a folder already"
        return None

    async def _has_objects_below(self, path: str) -> bool:
        most = len(self._ahead) + 1
        bounds = {"start": f"{path}/", "until": f"{path}0", "most": most}
        below = await self.tx.all(_BELOW, bucket_pk=self.repo.pk, **bounds)
        return any(name not in self._ahead for name in below)

    async def write(self) -> int:
        """Write objects, links to their bytes, and counters; return the bytes that it adds."""
        added = {path: one for path, one in self._final.items() if one is not None}
        gone = [path for path, one in self._final.items() if one is None and path in self._present]
        left = {self._present[path].sha256 for path in self._final if path in self._present}
        linked = await self._link({held for _, held in added.values()})
        await self.tx.run_many(_UPSERT, [self._row(*one) for one in added.values()])
        await self.tx.run_many(
            _DELETE, [{"bucket_pk": self.repo.pk, "which_path": path} for path in gone]
        )
        released = await self._release(left - {""})
        new_bytes = sum(held.bytes for _, held in added.values())
        old = [self._present[path] for path in self._final if path in self._present]
        await self.tx.run(
            _COUNT,
            which_pk=self.repo.pk,
            more_objects=len(added) - len(old),
            more_bytes=new_bytes - sum(one.bytes for one in old),
        )
        return linked - released

    def _row(self, added: AddObject, held: HeldFile) -> dict[str, object]:
        return {
            **added._asdict(),
            "repo_pk": self.repo.pk,
            "sha256": held.sha256,
            "bytes": held.bytes,
        }

    async def _link(self, files: Iterable[HeldFile]) -> int:
        """Link the bytes of files and return how many bytes are new to the bucket."""
        sizes = {held.sha256: held.bytes for held in files if held.sha256}
        known = await blobs.linked_many(self.tx, self.repo.pk, BlobKind.LFS, sorted(sizes))
        # Sorted, so that two batches at the same time cannot deadlock.
        links = [Link(BlobKey(BlobKind.LFS, name), sizes[name]) for name in sorted(sizes)]
        await blobs.link_blobs(self.tx, self.repo.pk, links, pusher_pk=self.actor.pk)
        return sum(
            size for name, size in sizes.items() if not (name in known and known[name].committed)
        )

    async def _release(self, sha256s: set[str]) -> int:
        """Unlink the bytes that no object names any more, and return their number."""
        if not sha256s:
            return 0
        named = await self.tx.all(_STILL_NAMED, bucket_pk=self.repo.pk, sha256s=sorted(sha256s))
        names = sorted(sha256s - set(named))
        links = await blobs.linked_many(self.tx, self.repo.pk, BlobKind.LFS, names)
        await blobs.release_blobs(self.tx, self.repo.pk, BlobKind.LFS, names)
        return sum(row.bytes for row in links.values() if row.committed)
