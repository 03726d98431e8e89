"""Holds: every statement that writes table ``hold``.

A hold protects an uploaded blob in one repository until a commit names it or its time is over.
`links.py` says what its end means for the link.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, bindparam, delete, select

from hubstead.blobs.keys import BlobKey, BlobKind
from hubstead.blobs.tables import holds
from hubstead.db import DatabaseNow, Tx, any_of, indexed, insert_into, scan

#: How many expired holds `expired_holds` returns.
BATCH = 200

_HOLD = (
    holds.c.repo_pk == bindparam("repo_pk"),
    holds.c.kind == bindparam("kind"),
    holds.c.name == bindparam("name"),
)
_NEW = insert_into(holds, "repo_pk", "kind", "name").values(
    until_ms=DatabaseNow() + bindparam("hold_ms", type_=BigInteger)
)
_ADD = indexed(
    _NEW.on_conflict_do_update(
        index_elements=["repo_pk", "kind", "name"],
        set_={"until_ms": _NEW.excluded.until_ms},
        where=holds.c.until_ms < _NEW.excluded.until_ms,
    )
)
_DELETE = indexed(delete(holds).where(*_HOLD))
# The time is checked again: an upload may have extended the hold since it was selected.
_DELETE_IF_EXPIRED = indexed(delete(holds).where(*_HOLD, holds.c.until_ms < DatabaseNow()))
# A delete, unlike a read, makes a concurrent upload that extends such a hold wait for the commit.
_DELETE_EXPIRED = indexed(
    delete(holds).where(
        holds.c.repo_pk == bindparam("repo_pk"),
        holds.c.kind == bindparam("kind"),
        holds.c.until_ms < DatabaseNow(),
        any_of(holds.c.name, "names"),
    )
)
_DELETE_OF_REPO = indexed(delete(holds).where(holds.c.repo_pk == bindparam("repo_pk")))


class Hold(NamedTuple):
    """A hold of a blob in a repository."""

    repo_pk: int
    kind: str
    name: str

    @property
    def key(self) -> BlobKey:
        """The blob."""
        return BlobKey(BlobKind(self.kind), self.name)


_SELECT_EXPIRED = scan(
    select(holds.c.repo_pk, holds.c.kind, holds.c.name)
    .where(holds.c.until_ms < DatabaseNow())
    .limit(BATCH),
    Hold,
)


async def add_holds(
    tx: Tx, repo_pk: int, kind: BlobKind, names: Iterable[str], hold_ms: int
) -> None:
    """Hold blobs in a repository for ``hold_ms`` from now; a hold that lasts longer stays."""
    hold = {"repo_pk": repo_pk, "kind": kind.value, "hold_ms": hold_ms}
    await tx.run_many(_ADD, [{**hold, "name": name} for name in names])


async def add_hold(tx: Tx, repo_pk: int, key: BlobKey, hold_ms: int) -> None:
    """Hold one blob; see `add_holds`."""
    await tx.run(_ADD, repo_pk=repo_pk, kind=key.kind.value, name=key.name, hold_ms=hold_ms)


async def delete_hold(tx: Tx, repo_pk: int, key: BlobKey) -> None:
    """End the hold of one blob in a repository."""
    await tx.run(_DELETE, repo_pk=repo_pk, kind=key.kind.value, name=key.name)


async def delete_holds(tx: Tx, repo_pk: int, kind: BlobKind, names: Iterable[str]) -> None:
    """End the holds of these blobs in a repository."""
    hold = {"repo_pk": repo_pk, "kind": kind.value}
    await tx.run_many(_DELETE, [{**hold, "name": name} for name in names])


async def delete_holds_of_repo(tx: Tx, repo_pk: int) -> None:
    """End all holds in a repository."""
    await tx.run(_DELETE_OF_REPO, repo_pk=repo_pk)


async def delete_expired_holds(tx: Tx, repo_pk: int, kind: BlobKind, names: Sequence[str]) -> None:
    """Delete a repository's expired holds of these blobs; the blobs stay linked.

    Until ``tx`` ends, an upload that extends one of these holds waits.
    """
    await tx.run(_DELETE_EXPIRED, repo_pk=repo_pk, kind=kind.value, names=list(names))


async def expired_holds(tx: Tx) -> list[Hold]:
    """Return up to `BATCH` expired holds of any repository."""
    return await tx.all(_SELECT_EXPIRED)


async def delete_if_expired(tx: Tx, hold: Hold) -> bool:
    """Delete a hold if it is still expired; return whether it was."""
    return bool(await tx.run(_DELETE_IF_EXPIRED, **hold._asdict()))
