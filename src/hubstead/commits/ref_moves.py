"""Moves of refs in a write transaction, in a number of statements that no number of refs raises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, select, update

from hubstead.commits.refs import Ref, RefInTheWay, RefMove, RefMoved, refs_named
from hubstead.commits.tables import refs
from hubstead.db import Tx, any_of, bytewise, each_of, indexed, insert_into, scan
from hubstead.errors import RefExists, RefUpdateFailed
from hubstead.ids import now_ms

_PREFIX_PARTS = 2  # refs/heads


class _Below(NamedTuple):
    ref: str
    other: str | None


_CREATE = indexed(insert_into(refs, "repo_pk", "name", "oid", "target", "moved_ms"))
_MOVE = indexed(
    update(refs)
    .values(oid=bindparam("new_oid"), target=bindparam("new_target"), moved_ms=bindparam("at_ms"))
    .where(refs.c.repo_pk == bindparam("which_pk"), refs.c.name == bindparam("which"))
)
_DELETE = scan(
    delete(refs).where(refs.c.repo_pk == bindparam("repo_pk"), any_of(refs.c.name, "names"))
)
_NAME = each_of("names")
#: The first ref in the folder of each name: "0" is the character after "/". A join would let
#: PostgreSQL compare each name with each ref, if its statistics are old.
_BELOW = scan(
    select(
        _NAME.label("ref"),
        select(refs.c.name)
        .where(
            refs.c.repo_pk == bindparam("repo_pk"),
            bytewise(refs.c.name) > _NAME + "/",
            bytewise(refs.c.name) < _NAME + "0",
        )
        .order_by(bytewise(refs.c.name))
        .limit(1)
        .scalar_subquery()
        .label("other"),
    ),
    _Below,
)


async def write_refs(tx: Tx, repo_pk: int, moves: Sequence[RefMove]) -> None:
    """Create, move and delete refs, all or none, each only if it is at ``move.old``.

    The transaction has locked or inserted the repository's row, so no other one moves its refs
    between the check and the change. Refs to delete make room for those to create.

    Raises:
        RefUpdateFailed: of the first move that fails, with those of the others in ``others``:
            RefMoved, a ref is not at ``move.old``; RefExists, a ref to create exists;
            RefInTheWay, a ref below one to create exists, or above it.
    """
    present = await refs_named(tx, repo_pk, [move.ref for move in moves])
    _raise([fault for move in moves if (fault := _fault_of(move, present.get(move.ref)))])
    if deleted := [move.ref for move in moves if move.new is None]:
        await tx.run(_DELETE, repo_pk=repo_pk, names=deleted)
    created = [move for move in moves if move.old is None and move.new is not None]
    if created:
        _raise(await _faults_of_names(tx, repo_pk, [move.ref for move in created]))
        rows = [
            {"name": move.ref, "oid": move.new, "target": move.target or move.new}
            for move in created
        ]
        await tx.run_many(
            _CREATE, [{"repo_pk": repo_pk, "moved_ms": now_ms(), **row} for row in rows]
        )
    moved = [move for move in moves if move.old is not None and move.new is not None]
    if moved:
        await tx.run_many(
            _MOVE,
            [
                {
                    "which_pk": repo_pk,
                    "which": move.ref,
                    "new_oid": move.new,
                    "new_target": move.target or move.new,
                    "at_ms": now_ms(),
                }
                for move in moved
            ],
        )


def _raise(faults: list[RefUpdateFailed]) -> None:
    if faults:
        first, *others = faults
        first.others = tuple(others)
        raise first


def _fault_of(move: RefMove, present: Ref | None) -> RefUpdateFailed | None:
    if move.old is None:
        return RefExists(ref=move.ref) if present else None
    if present is None or present.oid != move.old:
        return RefMoved(ref=move.ref, oid=present.oid if present else "it is gone")
    return None


async def _faults_of_names(tx: Tx, repo_pk: int, names: list[str]) -> list[RefUpdateFailed]:
    """Return a fault for each name that cannot be beside another: git stores refs as files."""
    folders = {folder for name in names for folder in _folders(name)}
    above = await refs_named(tx, repo_pk, sorted(folders)) if folders else {}
    below = await tx.all(_BELOW, repo_pk=repo_pk, names=names)
    taken, taken_folders = set(above), {row.ref: row.other for row in below if row.other}
    faults: list[RefUpdateFailed] = []
    for name in names:
        other = next((folder for folder in _folders(name) if folder in taken), None)
        other = other or taken_folders.get(name)
        if other is not None:
            faults.append(RefInTheWay(ref=name, other=other))
            continue
        taken.add(name)
        for folder in _folders(name):
            taken_folders.setdefault(folder, name)
    return faults


def _folders(name: str) -> Iterator[str]:
    """Yield the names that a ref of this name makes impossible: ``refs/heads/a`` for ``…/a/b``."""
    parts = name.split("/")
    for count in range(_PREFIX_PARTS + 1, len(parts)):
        yield "/".join(parts[:count])
