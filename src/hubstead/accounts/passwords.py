"""Passwords: argon2 hashes, in a lane of their own (a check takes 64 MiB and 0.1 s)."""

from __future__ import annotations

import contextlib

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hubstead.admission import Lane, run_in_lane
from hubstead.errors import InvalidInput

MAX_CHARS = 1024


class Passwords:
    """Hashes and verifies passwords.

    Args:
        hasher: The hash parameters; those that argon2 recommends if None.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        # Verified when the user does not exist, so that the answer takes as long as any other.
        self._dummy_hash: str | None = None

    async def hash(self, password: str) -> str:
        """Return the hash to store.

        Raises:
            InvalidInput: the password is empty, too long, or invalid Unicode.
        """
        if not password or len(password) > MAX_CHARS:
            raise InvalidInput(reason=f"a password has 1 to {MAX_CHARS} characters")
        if any("\ud800" <= char <= "\udfff" for char in password):
            raise InvalidInput(reason="a password must be valid Unicode")
        return await run_in_lane(Lane.PASSWORDS, self._hasher.hash, password)

    async def check(self, password: str, password_hash: str | None) -> bool:
        """Return whether ``password_hash`` is of ``password``; takes as long for None (no hash).

        Raises:
            Overloaded, ShareExceeded: too many checks wait, of all callers or of this one.
        """
        return await run_in_lane(Lane.PASSWORDS, self._check, password, password_hash)

    def _check(self, password: str, password_hash: str | None) -> bool:
        if self._dummy_hash is None:
            self._dummy_hash = self._hasher.hash("nobody has this password")
        with contextlib.suppress(VerificationError, InvalidHashError, ValueError):
            expected = password_hash or self._dummy_hash
            matches = self._hasher.verify(expected, password[: MAX_CHARS + 1])
            return matches and password_hash is not None
        return False
