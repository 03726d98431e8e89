"""Claiming jobs: the statements behind the runner, each one transaction.

A claim is a text nobody used before. Every change to a claimed job names it, so a node whose
lease ended and was taken over changes nothing any more. Leases and due times compare the
database's clock alone.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Update, bindparam, case, delete, select, update

from hubstead.db import Database, DatabaseNow, Tx, any_of, indexed, scan
from hubstead.jobs.tables import jobs

MAX_ERROR_CHARS = 2000


class Claim(msgspec.Struct, frozen=True):
    """One job, held by this node."""

    pk: int
    type: str
    subject: str
    payload: dict[str, object]
    attempt: int  # 1 for the first
    asked: int
    token: str


_IS_DUE = (
    (jobs.c.due_ms <= DatabaseNow())
    & (jobs.c.lease_ms <= DatabaseNow())
    & any_of(jobs.c.type, "types")
)
_ANY_DUE = indexed(select(jobs.c.pk).where(_IS_DUE).limit(1), int)
# A common table is computed once; as a plain IN (…) PostgreSQL may run it again and lock more.
_DUE = (
    select(jobs.c.pk)
    .where(_IS_DUE)
    .order_by(jobs.c.due_ms, jobs.c.pk)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte("due")
)


_AFTER = DatabaseNow() + bindparam("after_ms", type_=BigInteger)


class _Claimed(NamedTuple):
    pk: int
    type: str
    subject: str
    payload: str
    attempts: int
    asked: int


_CLAIM = indexed(
    update(jobs)
    .where(jobs.c.pk.in_(select(_DUE.c.pk)))
    .values(
        holder=bindparam("token"),
        lease_ms=_AFTER,
        due_ms=_AFTER,
        attempts=jobs.c.attempts + 1,
    )
    .returning(
        jobs.c.pk, jobs.c.type, jobs.c.subject, jobs.c.payload, jobs.c.attempts, jobs.c.asked
    ),
    _Claimed,
)
_IS_MINE = (jobs.c.pk == bindparam("job_pk")) & (jobs.c.holder == bindparam("token"))
# Whoever asks again meanwhile sets a due time of their own, which must stay.
_NOT_ASKED_AGAIN = jobs.c.asked == bindparam("seen")


def _due() -> ColumnElement[int]:
    earlier = (~_NOT_ASKED_AGAIN) & (jobs.c.due_ms < _AFTER)
    return case((earlier, jobs.c.due_ms), else_=_AFTER)


def _let_go(**values: object) -> Update:
    return update(jobs).values(holder=None, lease_ms=0, **values).where(_IS_MINE)


_RENEW = indexed(
    update(jobs).values(lease_ms=_AFTER, due_ms=_due()).where(_IS_MINE).returning(jobs.c.pk),
    int,
)
_DONE = indexed(delete(jobs).where(_IS_MINE, _NOT_ASKED_AGAIN))
_DONE_BUT_ASKED_AGAIN = indexed(_let_go(attempts=0, error=None))
_AGAIN = indexed(_let_go(attempts=0, error=None, due_ms=_due()))
_FAILED = indexed(_let_go(error=bindparam("text"), due_ms=_due()))
_RELEASE = indexed(_let_go(attempts=jobs.c.attempts - 1, due_ms=_due()))


class _Held(NamedTuple):
    pk: int
    holder: str


_HELD = scan(
    select(jobs.c.pk, jobs.c.holder).where(
        jobs.c.holder.is_not(None), jobs.c.lease_ms > DatabaseNow()
    ),
    _Held,
)
_TAKE_FROM = indexed(
    update(jobs).values(holder=None, lease_ms=0, due_ms=DatabaseNow()).where(_IS_MINE)
)


async def claim(
    db: Database, types: Sequence[str], *, most: int, node: str, lease_s: float
) -> list[Claim]:
    """Claim up to ``most`` jobs of ``types`` that are due, the longest waiting first.

    Looks before it writes, so that an idle hub leaves the disk alone.
    """
    if await db.one(_ANY_DUE, types=list(types)) is None:
        return []
    token = f"{node}/{secrets.token_hex(8)}"

    async def take(tx: Tx) -> list[Claim]:
        rows = await tx.all(
            _CLAIM, types=list(types), most=most, token=token, after_ms=_ms(lease_s)
        )
        return [
            Claim(
                pk=row.pk,
                type=row.type,
                subject=row.subject,
                payload=msgspec.json.decode(row.payload),
                attempt=row.attempts,
                asked=row.asked,
                token=token,
            )
            for row in rows
        ]

    return await db.write(take)


async def renew(db: Database, held: Claim, lease_s: float) -> bool:
    """Hold a job for longer; False if another node has taken it over."""

    async def write(tx: Tx) -> bool:
        values = {**_mine(held), "seen": held.asked, "after_ms": _ms(lease_s)}
        return await tx.one(_RENEW, **values) is not None

    return await db.write(write)


async def finish(db: Database, held: Claim) -> None:
    """Remove a job that is done, or let it run again if it was asked for meanwhile."""

    async def write(tx: Tx) -> None:
        if not await tx.run(_DONE, **_mine(held), seen=held.asked):
            await tx.run(_DONE_BUT_ASKED_AGAIN, **_mine(held))

    await db.write(write)


async def reschedule(db: Database, held: Claim, after_s: float) -> None:
    """Let go of a job that went well and is due again in ``after_s`` seconds."""

    async def write(tx: Tx) -> None:
        await tx.run(_AGAIN, **_mine(held), seen=held.asked, after_ms=_ms(after_s))

    await db.write(write)


async def fail(db: Database, held: Claim, text: str, after_s: float) -> None:
    """Let go of a job that failed, to be tried again in ``after_s`` seconds."""
    short = text.replace("\0", "")[:MAX_ERROR_CHARS]  # PostgreSQL takes no NUL

    async def write(tx: Tx) -> None:
        values = {**_mine(held), "seen": held.asked, "after_ms": _ms(after_s)}
        await tx.run(_FAILED, **values, text=short)

    await db.write(write)


async def release(db: Database, held: Claim) -> None:
    """Let go of a job that was interrupted, for another node to take at once."""

    async def write(tx: Tx) -> None:
        await tx.run(_RELEASE, **_mine(held), seen=held.asked, after_ms=0)

    await db.write(write)


async def release_dead(db: Database, node: str) -> int:
    """Let go of jobs that processes of this machine held when they died; return how many.

    Only where every process that takes jobs from the database is seen from here, and before
    ``node``, which is this process, has taken any.

    Args:
        db: Where the jobs are.
        node: ``machine:process id``, as other nodes on this machine end with; of any other form,
            nothing happens.
    """
    machine, _, pid = node.rpartition(":")
    if pid != str(os.getpid()):
        return 0

    async def write(tx: Tx) -> int:
        dead = [row for row in await tx.all(_HELD) if _has_died(row.holder, machine)]
        for row in dead:
            await tx.run(_TAKE_FROM, job_pk=row.pk, token=row.holder)
        return len(dead)

    return await db.write(write)


def _has_died(holder: str, machine: str) -> bool:
    node, _, _ = holder.rpartition("/")
    place, _, pid = node.rpartition(":")
    if place.rpartition(":")[2] != machine or not pid.isdecimal():
        return False
    if int(pid) == os.getpid():  # in a container, all who come one after the other are number 1
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _mine(held: Claim) -> dict[str, object]:
    return {"job_pk": held.pk, "token": held.token}


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
