"""Claims, renews and releases jobs for the runner; every function is one transaction.

The token of a claim is unique. All changes to a claimed job compare it, so a node whose lease
expired and whose job another node claimed changes nothing. Leases and due times use the
database's clock only.
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
    """A job that this node has claimed."""

    pk: int
    type: str
    subject: str
    payload: dict[str, object]
    attempt: int  # 1 for the first
    generation: int
    token: str


_IS_DUE = (
    (jobs.c.due_ms <= DatabaseNow())
    & (jobs.c.lease_ms <= DatabaseNow())
    & any_of(jobs.c.type, "types")
)
_ANY_DUE = indexed(select(jobs.c.pk).where(_IS_DUE).limit(1), int)
# PostgreSQL computes a common table once; it may run a plain IN (…) again and lock more rows.
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
    generation: int


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
        jobs.c.pk, jobs.c.type, jobs.c.subject, jobs.c.payload, jobs.c.attempts, jobs.c.generation
    ),
    _Claimed,
)
_IS_CLAIMED = (jobs.c.pk == bindparam("job_pk")) & (jobs.c.holder == bindparam("token"))
# A job that was enqueued again meanwhile has a new due time, which must stay.
_NOT_ENQUEUED_AGAIN = jobs.c.generation == bindparam("seen")


def _next_due() -> ColumnElement[int]:
    earlier = (~_NOT_ENQUEUED_AGAIN) & (jobs.c.due_ms < _AFTER)
    return case((earlier, jobs.c.due_ms), else_=_AFTER)


def _unclaim(**values: object) -> Update:
    return update(jobs).values(holder=None, lease_ms=0, **values).where(_IS_CLAIMED)


_RENEW = indexed(
    update(jobs)
    .values(lease_ms=_AFTER, due_ms=_next_due())
    .where(_IS_CLAIMED)
    .returning(jobs.c.pk),
    int,
)
_FINISH = indexed(delete(jobs).where(_IS_CLAIMED, _NOT_ENQUEUED_AGAIN))
_FINISH_ENQUEUED_AGAIN = indexed(_unclaim(attempts=0, error=None))
_RESCHEDULE = indexed(_unclaim(attempts=0, error=None, due_ms=_next_due()))
_FAIL = indexed(_unclaim(error=bindparam("text"), due_ms=_next_due()))
_RELEASE = indexed(_unclaim(attempts=jobs.c.attempts - 1, due_ms=_next_due()))


class _Lease(NamedTuple):
    pk: int
    holder: str


_LEASES = scan(
    select(jobs.c.pk, jobs.c.holder).where(
        jobs.c.holder.is_not(None), jobs.c.lease_ms > DatabaseNow()
    ),
    _Lease,
)
_EXPIRE = indexed(
    update(jobs).values(holder=None, lease_ms=0, due_ms=DatabaseNow()).where(_IS_CLAIMED)
)


async def claim(
    db: Database, types: Sequence[str], *, most: int, node: str, lease_s: float
) -> list[Claim]:
    """Claim up to ``most`` due jobs of ``types``, the longest due first.

    Read before writing, so that an idle hub does not write to the disk.
    """
    if await db.one(_ANY_DUE, types=list(types)) is None:
        return []
    token = f"{node}/{secrets.token_hex(8)}"
    rows = await db.write(_claim, list(types), most, token, lease_s)
    return [
        Claim(
            pk=row.pk,
            type=row.type,
            subject=row.subject,
            payload=msgspec.json.decode(row.payload),
            attempt=row.attempts,
            generation=row.generation,
            token=token,
        )
        for row in rows
    ]


async def _claim(tx: Tx, types: list[str], most: int, token: str, lease_s: float) -> list[_Claimed]:
    return await tx.all(_CLAIM, types=types, most=most, token=token, after_ms=_ms(lease_s))


async def renew(db: Database, job: Claim, lease_s: float) -> bool:
    """Extend the lease of a job; return False if another node has claimed the job."""
    return await db.write(_renew, job, lease_s)


async def _renew(tx: Tx, job: Claim, lease_s: float) -> bool:
    values = {**_claim_values(job), "seen": job.generation, "after_ms": _ms(lease_s)}
    return await tx.one(_RENEW, **values) is not None


async def finish(db: Database, job: Claim) -> None:
    """Delete a finished job, or release it for another run if it was enqueued meanwhile."""
    await db.write(_finish, job)


async def _finish(tx: Tx, job: Claim) -> None:
    if not await tx.run(_FINISH, **_claim_values(job), seen=job.generation):
        await tx.run(_FINISH_ENQUEUED_AGAIN, **_claim_values(job))


async def reschedule(db: Database, job: Claim, after_s: float) -> None:
    """Release a successful job; it is due again in ``after_s`` seconds."""
    values = {**_claim_values(job), "seen": job.generation, "after_ms": _ms(after_s)}
    await db.execute(_RESCHEDULE, **values)


async def fail(db: Database, job: Claim, text: str, after_s: float) -> None:
    """Release a failed job with its error; the retry is due in ``after_s`` seconds."""
    short = text.replace("\0", "")[:MAX_ERROR_CHARS]  # PostgreSQL takes no NUL
    values = {**_claim_values(job), "seen": job.generation, "after_ms": _ms(after_s)}
    await db.execute(_FAIL, **values, text=short)


async def release(db: Database, job: Claim) -> None:
    """Release an interrupted job; another node may claim it at once."""
    await db.execute(_RELEASE, **_claim_values(job), seen=job.generation, after_ms=0)


async def release_dead(db: Database, node: str) -> int:
    """Release jobs of crashed processes of this machine; return their number.

    Call this only where all processes that claim jobs run on this machine, and before ``node``,
    which is this process, claims its first job.

    Args:
        db: The database.
        node: ``machine:process id``, which the names of other nodes on this machine end with,
            too; with any other form, nothing happens.
    """
    machine, _, pid = node.rpartition(":")
    return await db.write(_release_dead, machine) if pid == str(os.getpid()) else 0


async def _release_dead(tx: Tx, machine: str) -> int:
    leases = [row for row in await tx.all(_LEASES) if _is_dead(row.holder, machine)]
    for row in leases:
        await tx.run(_EXPIRE, job_pk=row.pk, token=row.holder)
    return len(leases)


def _is_dead(holder: str, machine: str) -> bool:
    node, _, _ = holder.rpartition("/")
    host, _, pid = node.rpartition(":")
    if host.rpartition(":")[2] != machine or not pid.isdecimal():
        return False
    if int(pid) == os.getpid():  # in a container, successive processes all have id 1
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _claim_values(job: Claim) -> dict[str, object]:
    return {"job_pk": job.pk, "token": job.token}


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
