"""Signing in with a password: limited in rate, and remembered for a moment for git."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from hubstead.accounts.actor import Actor, actor_of
from hubstead.accounts.passwords import MAX_CHARS, Passwords
from hubstead.accounts.tokens import add_token
from hubstead.accounts.users import password_of
from hubstead.db import Database, Tx
from hubstead.errors import RateLimited, SignInFailed
from hubstead.ids import now_ms

REMEMBERED_S = 60
_REMEMBERED_MOST = 1024
SESSION_MS = 90 * 86_400_000


class SignIn:
    """Checks passwords, counting failures per name and per address.

    Args:
        db: Where the users are.
        passwords: Who hashes.
        attempts: Failures allowed in the window.
        window_s: The window in seconds.
    """

    def __init__(
        self, db: Database, passwords: Passwords, *, attempts: int = 10, window_s: int = 300
    ) -> None:
        self._db = db
        self._passwords = passwords
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._limit = RateLimitItemPerSecond(attempts, window_s)
        # git sends the password with every request; argon2 for each would be a denial of
        # service of our own making. Keyed by a secret of this process, kept for a minute.
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, tuple[float, str | None]] = OrderedDict()

    async def check(self, name: str, password: str, address: str) -> Actor:
        """Return the user ``name`` if this is their password.

        Raises:
            SignInFailed: unknown user, wrong password, or the user is disabled.
            RateLimited: too many failures for this name or from this address.
        """
        buckets = (f"name:{name.casefold()[:200]}", f"address:{address}")
        row = await password_of(self._db, name)
        seal = self._seal(name, password)
        if row is not None and not row.disabled and self._remembers(seal, row.password_hash):
            return actor_of(row)
        self._refuse_if_exhausted(buckets)
        fits = len(password) <= MAX_CHARS
        right = await self._passwords.check(password, row.password_hash if row else None)
        # Again, or guesses sent all at once would all be answered.
        self._refuse_if_exhausted(buckets)
        if row is None or not fits or not right or row.disabled:
            for bucket in buckets:
                self._limiter.hit(self._limit, bucket)
            raise SignInFailed()
        self._remember(seal, row.password_hash)
        return actor_of(row)

    def _refuse_if_exhausted(self, buckets: tuple[str, ...]) -> None:
        for bucket in buckets:
            if not self._limiter.test(self._limit, bucket):
                reset = self._limiter.get_window_stats(self._limit, bucket).reset_time
                raise RateLimited(retry_after_s=max(1, int(reset - time.time()) + 1))

    async def open_session(self, name: str, password: str, address: str) -> str:
        """Return a new session's token for ``name`` (``POST /api/login``).

        Raises:
            SignInFailed, RateLimited: as ``check`` does.
        """
        actor = await self.check(name, password, address)

        async def add(tx: Tx) -> str:
            return await add_token(
                tx,
                actor.pk,
                name="session",
                role="write",
                kind="session",
                expires_ms=now_ms() + SESSION_MS,
            )

        return await self._db.write(add)

    def _seal(self, name: str, password: str) -> bytes:
        text = f"{name.casefold()}\0{password}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, hashlib.sha256(text).digest(), "sha256")

    def _remembers(self, seal: bytes, password_hash: str | None) -> bool:
        found = self._known.get(seal)
        return found is not None and found[0] > time.monotonic() and found[1] == password_hash

    def _remember(self, seal: bytes, password_hash: str | None) -> None:
        self._known[seal] = (time.monotonic() + REMEMBERED_S, password_hash)
        while len(self._known) > _REMEMBERED_MOST:
            self._known.popitem(last=False)
