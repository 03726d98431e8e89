"""Our own signatures: signed URLs and short-lived tokens that only this server reads.

Made with itsdangerous from keys in the database (every node has the same), with a key id, so a
new key takes over while URLs of the old one still work.
"""

from __future__ import annotations

import secrets
import time
from typing import Any, TypeVar

import msgspec
from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode
from sqlalchemy import bindparam, select

from hubstead.accounts.tables import signing_key
from hubstead.db import Database, Tx, insert, point
from hubstead.errors import InvalidCredentials
from hubstead.ids import now_ms

T = TypeVar("T", bound=msgspec.Struct)

_KEYS = point(select(signing_key.c.id, signing_key.c.secret).order_by(signing_key.c.pk.desc()))
_ADD = point(
    insert(signing_key)
    .values(id=bindparam("id"), secret=bindparam("secret"), created_ms=bindparam("created_ms"))
    .on_conflict_do_nothing()
)
#: Nodes that start together for the first time must end up with one key, not with one each.
_FIRST_KEY = "00000000"


class Seal:
    """Signs small structs and reads them back.

    ``await Seal.load(db)`` reads the keys and makes the first one; call ``load`` again, or
    ``rotate``, to take up newer keys.
    """

    def __init__(self, keys: dict[str, str]) -> None:
        self._signers = {
            key_id: Signer(secret, salt="hubstead", key_derivation="hmac")
            for key_id, secret in keys.items()
        }
        self._newest = next(iter(keys))

    @classmethod
    async def load(cls, db: Database) -> Seal:
        """Read the keys, newest first, making one if there is none."""
        rows = await db.all(_KEYS)
        if not rows:
            await add_key(db, _FIRST_KEY)
            rows = await db.all(_KEYS)
        return cls({row.id: row.secret for row in rows})

    def sign(self, content: msgspec.Struct, *, purpose: str, seconds: float) -> str:
        """Return a URL-safe text that ``read`` gives ``content`` back for, for ``seconds``."""
        until = int(time.time() + seconds)
        packed = base64_encode(msgspec.msgpack.encode((purpose, until, content))).decode()
        text = f"{self._newest}.{packed}"
        return self._signers[self._newest].sign(text).decode()

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


async def add_key(db: Database, key_id: str | None = None) -> str:
    """Make a new signing key, which from now on is the newest, and return its id.

    One whose id is there already stays as it is.
    """
    key_id = key_id or secrets.token_hex(4)

    async def add(tx: Tx) -> None:
        await tx.run(_ADD, id=key_id, secret=secrets.token_hex(32), created_ms=now_ms())

    await db.write(add)
    return key_id
