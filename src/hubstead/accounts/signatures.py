"""Our own signatures: signed URLs and short-lived tokens that only this server reads.

Made with itsdangerous from keys in the database (every node has the same), with a key id, so a
new key takes over while URLs of the old one still work: ``rotate`` makes one now and then, every
node reads it within ``RELOAD_S``, and only when all have it does anybody sign with it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode
from sqlalchemy import bindparam, delete, select

from hubstead.accounts.tables import signing_keys
from hubstead.db import Database, Tx, indexed, insert_into
from hubstead.errors import InvalidCredentials
from hubstead.ids import now_ms

T = TypeVar("T", bound=msgspec.Struct)

#: How often each node reads the keys again.
RELOAD_S = 60.0
#: From when on a key is signed with: by then every node has read it.
RIPE_MS = int(5 * RELOAD_S * 1000)
#: How long a key is the newest, and how long after that what it signed can still be read.
NEWEST_MS = 30 * 86_400_000
KEPT_MS = 2 * NEWEST_MS


class SigningKey(NamedTuple):
    """A key; ``id`` goes with every signature made by it."""

    id: str
    secret: str
    created_ms: int = 0


_KEYS = indexed(
    select(signing_keys.c.id, signing_keys.c.secret, signing_keys.c.created_ms).order_by(
        signing_keys.c.pk.desc()
    ),
    SigningKey,
)
_DROP = indexed(delete(signing_keys).where(signing_keys.c.created_ms < bindparam("before_ms")))
_ADD = indexed(insert_into(signing_keys, "id", "secret", "created_ms").on_conflict_do_nothing())
#: Nodes that start together for the first time must end up with one key, not with one each.
_FIRST_KEY = "00000000"


class HubSigner:
    """Signs small structs and reads them back.

    ``await Seal.load(db)`` reads the keys and makes the first one; ``reload`` takes up newer ones.
    """

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        self._take(keys)

    def _take(self, keys: Sequence[SigningKey]) -> None:
        """Take up keys, newest first: all can be read by, the newest ripe one signs."""
        self._signers = {key.id: _signer(key) for key in keys}
        ripe = [key.id for key in keys if key.created_ms <= now_ms() - RIPE_MS]
        self._key = ripe[0] if ripe else keys[-1].id

    @classmethod
    async def load(cls, db: Database) -> HubSigner:
        """Read the keys, making one if there is none."""
        if not await _keys(db):
            await add_signing_key(db, _FIRST_KEY)
        return cls(await _keys(db))

    async def reload(self, db: Database) -> None:
        """Read the keys again."""
        self._take(await _keys(db))

    def sign(self, content: msgspec.Struct, *, purpose: str, seconds: float) -> str:
        """Return a URL-safe text that ``read`` gives ``content`` back for, for ``seconds``."""
        until = int(time.time() + seconds)
        packed = base64_encode(msgspec.msgpack.encode((purpose, until, content))).decode()
        return self._signers[self._key].sign(f"{self._key}.{packed}").decode()

    def read(self, text: str, shape: type[T], *, purpose: str) -> T:
        """Return what was signed.

        Raises:
            InvalidCredentials: forged, for another purpose, or over.
        """
        try:
            signer = self._signers[text.partition(".")[0]]
            packed = signer.unsign(text).decode().partition(".")[2]
            kind: Any = tuple[str, int, shape]  # type: ignore[valid-type]
            said, until, content = msgspec.msgpack.decode(base64_decode(packed), type=kind)
        except (KeyError, BadSignature, msgspec.DecodeError, ValueError):
            raise InvalidCredentials() from None
        if said != purpose or until < time.time():
            raise InvalidCredentials()
        return content  # type: ignore[no-any-return]


def _signer(key: SigningKey) -> Signer:
    """Return what signs with a key, the derivation done once instead of for every signature."""
    derived = Signer(key.secret, salt="hubstead", key_derivation="hmac").derive_key()
    return Signer(derived, key_derivation="none")


async def _keys(db: Database) -> list[SigningKey]:
    return await db.all(_KEYS)


async def add_signing_key(db: Database, key_id: str | None = None) -> str:
    """Make a new signing key and return its id.

    One whose id is there already stays as it is.
    """
    key_id = key_id or secrets.token_hex(4)

    async def add(tx: Tx) -> None:
        await tx.run(_ADD, id=key_id, secret=secrets.token_hex(32), created_ms=now_ms())

    await db.write(add)
    return key_id


async def rotate_keys(db: Database) -> None:
    """Make a new key if the newest is old enough, and drop those that signed nothing of late."""
    keys = await _keys(db)
    if keys and keys[0].created_ms > now_ms() - NEWEST_MS:
        return
    await add_signing_key(db)

    async def drop(tx: Tx) -> None:
        await tx.run(_DROP, before_ms=now_ms() - KEPT_MS)

    await db.write(drop)
