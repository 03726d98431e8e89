"""Counts attempts to sign in, in the database, so that all nodes count together.

An attempt is counted before its password is checked, so that guesses sent at once get no more
answers than guesses sent in turn. It counts for its name *and* address, and for its address. Never
for its name alone: then a stranger could lock a user out.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import BigInteger, bindparam, case, delete, update

from hubstead.accounts.tables import sign_in_attempts as attempts
from hubstead.db import Database, DatabaseNow, Tx, indexed, insert_into, scan
from hubstead.errors import RateLimited

#: How many more attempts an address has than one name from it: many users share an address.
ADDRESS_FACTOR = 10
#: The most limited buckets that a node remembers, so that refusing them costs no write.
_REMEMBERED = 4096


class _Bucket(NamedTuple):
    tried: int
    until_ms: int
    now_ms: int


_window = bindparam("window_ms", type_=BigInteger)
_NEW = insert_into(attempts, "bucket").values(count=1, until_ms=DatabaseNow() + _window)
_is_over = attempts.c.until_ms <= DatabaseNow()
_COUNT = indexed(
    _NEW.on_conflict_do_update(
        index_elements=["bucket"],
        set_={
            "count": case((_is_over, 1), else_=attempts.c.count + 1),
            "until_ms": case((_is_over, DatabaseNow() + _window), else_=attempts.c.until_ms),
        },
    ).returning(
        attempts.c.count.label("tried"), attempts.c.until_ms, DatabaseNow().label("now_ms")
    ),
    _Bucket,
)
_RETURN = indexed(
    update(attempts)
    .where(attempts.c.bucket == bindparam("which"), attempts.c.count > 0)
    .values(count=attempts.c.count - 1)
)
_FORGET = indexed(delete(attempts).where(attempts.c.bucket == bindparam("which")))
_EXPIRE = scan(delete(attempts).where(attempts.c.until_ms <= DatabaseNow()))


class Attempts:
    """The attempts of names and addresses within a window.

    Args:
        db: The database that the nodes share.
        limit: Attempts per name and address in one window.
        window_s: The window in seconds; it begins with its first attempt.
    """

    def __init__(self, db: Database, *, limit: int, window_s: float) -> None:
        self._db = db
        self._limit = limit
        self._window_ms = int(window_s * 1000)
        self._limited: OrderedDict[str, float] = OrderedDict()  # until, by time.monotonic()

    async def count(self, name: str, address: str) -> None:
        """Count an attempt.

        Raises:
            RateLimited: the limit has been reached; the attempt is not counted.
        """
        limits = self._limits(name, address)
        for bucket in limits:
            self._require_unlimited(bucket)
        await self._db.write(self._count, limits)

    async def _count(self, tx: Tx, limits: Mapping[str, int]) -> None:
        for bucket, limit in limits.items():
            row = await tx.single(_COUNT, bucket=bucket, window_ms=self._window_ms)
            if row.tried > limit:
                raise self._refuse(bucket, (row.until_ms - row.now_ms) / 1000)

    async def take_back(self, name: str, address: str) -> None:
        """Uncount an attempt whose password was not checked."""
        await self._db.write(_uncount, list(self._limits(name, address)))

    async def forgive(self, name: str, address: str) -> None:
        """Forget the attempts of a name from an address: the right password came."""
        of_name, of_address = self._limits(name, address)
        await self._db.write(_forgive, of_name, of_address)

    def _limits(self, name: str, address: str) -> dict[str, int]:
        """Return the limit of each bucket, the one of the name first."""
        key = name.casefold()[:200]
        return {
            _bucket("name", key, address): self._limit,
            _bucket("address", address): self._limit * ADDRESS_FACTOR,
        }

    def _require_unlimited(self, bucket: str) -> None:
        left = self._limited.get(bucket, 0.0) - time.monotonic()
        if left > 0:
            raise RateLimited(retry_after_s=int(left) + 1)
        self._limited.pop(bucket, None)

    def _refuse(self, bucket: str, left_s: float) -> RateLimited:
        self._limited[bucket] = time.monotonic() + left_s
        while len(self._limited) > _REMEMBERED:
            self._limited.popitem(last=False)
        return RateLimited(retry_after_s=max(1, int(left_s) + 1))


async def _uncount(tx: Tx, buckets: Iterable[str]) -> None:
    for bucket in buckets:
        await tx.run(_RETURN, which=bucket)


async def _forgive(tx: Tx, of_name: str, of_address: str) -> None:
    await tx.run(_FORGET, which=of_name)
    await tx.run(_RETURN, which=of_address)


def _bucket(*parts: str) -> str:
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()


async def expire_attempts(db: Database) -> None:
    """Delete the attempts of windows that are over."""
    await db.execute(_EXPIRE)
