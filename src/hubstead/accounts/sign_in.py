"""Sign-in by password, its attempts counted, with a short cache of successes for git."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict

from hubstead.accounts.actor import Actor, actor_of
from hubstead.accounts.attempts import Attempts
from hubstead.accounts.browser_sessions import SessionLimits, open_browser_session
from hubstead.accounts.passwords import MAX_CHARS, Passwords
from hubstead.accounts.tokens import add_token, authenticate_token
from hubstead.accounts.users import first_user_waits, password_of, set_password
from hubstead.admission import address_key
from hubstead.db import Database, Tx
from hubstead.errors import InvalidCredentials, Overloaded, ShareExceeded, SignInFailed
from hubstead.ids import FIRST_USER, now_ms

CACHE_S = 60
_CACHE_ENTRIES = 1024
SESSION_MS = 90 * 86_400_000


class SignIn:
    """Checks passwords and counts attempts per name and address, and per address.

    Args:
        db: The database of users.
        passwords: Verifies the hashes.
        attempts: Attempts allowed within the window.
        window_s: The window in seconds.
        sessions: How long sessions of browsers last; the most sessions of one user, of browsers and
            of clients each.
    """

    def __init__(
        self,
        db: Database,
        passwords: Passwords,
        *,
        attempts: int = 10,
        window_s: float = 300,
        sessions: SessionLimits | None = None,
    ) -> None:
        self._db = db
        self._passwords = passwords
        self.session_limits = sessions or SessionLimits()
        self._attempts = Attempts(db, limit=attempts, window_s=window_s)
        # git sends the password with every request: argon2 every time would be a denial of service
        # of our own. Keyed by a MAC with a secret of this process; entries expire by the minute.
        self._key = secrets.token_bytes(32)
        self._successes: OrderedDict[bytes, tuple[float, str | None]] = OrderedDict()

    async def check(self, name: str, password: str, address: str) -> Actor:
        """Return the user ``name`` if ``password`` is theirs.

        Raises:
            SignInFailed: the user is unknown or disabled, or the password is wrong.
            RateLimited: too many attempts for the name from this address, or from the address.
            Overloaded: too many checks wait; the attempt does not count.
        """
        address = address_key(address)
        row = await password_of(self._db, name)
        mac = self._mac(name, password)
        if row is not None and not row.disabled and self._is_cached(mac, row.password_hash):
            return actor_of(row)
        await self._attempts.count(name, address)
        fits = len(password) <= MAX_CHARS
        try:
            matches = await self._passwords.check(password, row.password_hash if row else None)
        except (Overloaded, ShareExceeded):
            await self._attempts.take_back(name, address)
            raise
        if row is None or not fits or not matches or row.disabled:
            raise SignInFailed()
        await self._attempts.forgive(name, address)
        self._cache(mac, row.password_hash)
        return actor_of(row)

    async def open_session(self, name: str, password: str, address: str) -> str:
        """Sign ``name`` in and return the token of a new session (``POST /api/login``).

        Raises:
            SignInFailed, RateLimited: as ``check`` does.
        """
        actor = await self.check(name, password, address)
        return await self._db.write(
            add_token,
            actor.pk,
            name="session",
            role="write",
            kind="session",
            expires_ms=now_ms() + SESSION_MS,
            limit=self.session_limits.most,
        )

    async def open_browser_session(
        self, name: str, password: str, *, address: str, agent: str
    ) -> str:
        """Sign ``name`` in and return the secret id of a new session of a browser.

        Raises:
            SignInFailed, RateLimited: as ``check`` does.
        """
        actor = await self.check(name, password, address)
        return await self._db.write(
            open_browser_session,
            actor.pk,
            address=address,
            agent=agent,
            limits=self.session_limits,
        )

    async def change_password(self, actor: Actor, old: str, new: str, address: str) -> None:
        """Change the password of ``actor``, and end all their sessions but the one they use.

        Raises:
            SignInFailed, RateLimited: as ``check`` does for the present password.
            InvalidInput: the new password is empty, too long, or invalid Unicode.
        """
        await self.check(actor.name, old, address)
        hashed = await self._passwords.hash(new)
        await self._db.write(set_password, actor.name, hashed, by=actor)

    async def set_first_password(self, token: str, password: str) -> None:
        """Give the administrator of the first start a password.

        Args:
            token: A token of that administrator, as the first start prints it.
            password: The password.

        Raises:
            InvalidCredentials: the token is not one of that administrator, or there is a password.
            InvalidInput: the password is empty, too long, or invalid Unicode.
        """
        actor = await authenticate_token(self._db, token)
        if actor.name != FIRST_USER or not actor.may_write:
            raise InvalidCredentials()
        hashed = await self._passwords.hash(password)
        await self._db.write(_set_first_password, hashed)

    def _mac(self, name: str, password: str) -> bytes:
        text = f"{name.casefold()}\0{password}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, hashlib.sha256(text).digest(), "sha256")

    def _is_cached(self, mac: bytes, password_hash: str | None) -> bool:
        expires, hash_then = self._successes.get(mac, (0.0, None))
        return expires > time.monotonic() and hash_then == password_hash

    def _cache(self, mac: bytes, password_hash: str | None) -> None:
        self._successes[mac] = (time.monotonic() + CACHE_S, password_hash)
        while len(self._successes) > _CACHE_ENTRIES:
            self._successes.popitem(last=False)


async def _set_first_password(tx: Tx, hashed: str) -> None:
    if not await first_user_waits(tx):
        raise InvalidCredentials()
    await set_password(tx, FIRST_USER, hashed)
