"""Passwords: argon2 hashes, in threads, two at a time (a check takes 64 MiB and 0.1 s)."""

from __future__ import annotations

import asyncio
import contextlib

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hubstead.errors import InvalidInput

MAX_CHARS = 1024


class Passwords:
    """Makes and checks password hashes.

    Args:
        at_once: How many at a time.
        hasher: What sets their cost; argon2's recommended one if None.
    """

    def __init__(self, at_once: int = 2, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._slots = asyncio.Semaphore(at_once)
        # Checked when there is no such user, so that the answer takes as long as any other.
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        """Return the hash to keep.

        Raises:
            InvalidInput: for an empty or over-long password, or broken text.
        """
        if not password or len(password) > MAX_CHARS:
            raise InvalidInput(reason=f"a password has 1 to {MAX_CHARS} characters")
        if any("\ud800" <= char <= "\udfff" for char in password):
            raise InvalidInput(reason="a password must be valid Unicode")
        async with self._slots:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def check(self, password: str, kept: str | None) -> bool:
        """Tell whether ``password`` is the one ``kept`` was made from; as slow for None."""
        async with self._slots:
            return await asyncio.to_thread(self._check, password, kept)

    def _check(self, password: str, kept: str | None) -> bool:
        if self._nobody is None:
            self._nobody = self._hasher.hash("nobody has this password")
        with contextlib.suppress(VerificationError, InvalidHashError, ValueError):
            right = self._hasher.verify(kept or self._nobody, password[: MAX_CHARS + 1])
            return right and kept is not None
        return False
