"""Signatures of the hub: signed URLs and short-lived tokens that only this hub reads.

Itsdangerous signs with keys in the database, which all nodes share. A signature carries the id of
its key, so URLs of an old key stay valid while a new one takes over: ``rotate_keys`` adds keys,
every node reads them within ``RELOAD_S``, and signs with a key only once all nodes have it.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Sequence
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

#: How often a node reloads the keys.
RELOAD_S = 60.0
#: The age from which a key signs: every node has read it by then.
RIPE_MS = int(5 * RELOAD_S * 1000)
#: The age of the newest key at which a newer one is added, and the age at which a key is deleted.
ROTATION_MS = 30 * 86_400_000
RETENTION_MS = 2 * ROTATION_MS


class SigningKey(NamedTuple):
    """A key; its signatures carry its ``id``."""

    id: str
    secret: str
    created_ms: int = 0


_KEYS = indexed(
    select(signing_keys.c.id, signing_keys.c.secret, signing_keys.c.created_ms).order_by(
        signing_keys.c.pk.desc()
    ),
    SigningKey,
)
_DELETE_OLDER = indexed(
    delete(signing_keys).where(signing_keys.c.created_ms < bindparam("before_ms"))
)
_ADD = indexed(insert_into(signing_keys, "id", "secret", "created_ms").on_conflict_do_nothing())
_NONCE = 16  # bytes
_BLOCK = 32  # bytes of one HMAC
#: Nodes that start together for the first time must agree on one key.
_FIRST_KEY = "00000000"


class HubSigner:
    """Signs small structs and verifies them.

    ``await HubSigner.load(db)`` reads the keys, adding the first one; ``reload`` reads newer ones.

    Args:
        keys: The keys, newest first.
        now_ms: The clock by which a key is ripe, in milliseconds since the epoch.
    """

    def __init__(self, keys: Sequence[SigningKey], *, now_ms: Callable[[], int] = now_ms) -> None:
        self._now_ms = now_ms
        self._use(keys)

    def conceal(self, text: str, *, purpose: str) -> str:
        """Return a URL-safe text from which only ``reveal`` gets ``text`` back."""
        nonce = secrets.token_bytes(_NONCE)
        secret = _concealing(self._secrets[self._key])
        packed = base64_encode(nonce + _cipher(secret, purpose, nonce, text.encode())).decode()
        return self._signers[self._key].sign(f"{self._key}.{packed}").decode()

    def reveal(self, concealed: str, *, purpose: str) -> str:
        """Return the text that ``conceal`` got for the same purpose.

        Raises:
            InvalidCredentials: it is forged, or of another purpose or a key that is gone.
        """
        try:
            key_id = concealed.partition(".")[0]
            packed = self._signers[key_id].unsign(concealed).decode().partition(".")[2]
            data = base64_decode(packed)
            secret = _concealing(self._secrets[key_id])
            return _cipher(secret, purpose, data[:_NONCE], data[_NONCE:]).decode()
        except (KeyError, BadSignature, ValueError):
            raise InvalidCredentials() from None

    def _use(self, keys: Sequence[SigningKey]) -> None:
        """Use keys, newest first: all verify, the newest ripe one signs."""
        self._secrets = {key.id: key.secret for key in keys}
        self._signers = {key.id: _signer(key) for key in keys}
        ripe = [key.id for key in keys if key.created_ms <= self._now_ms() - RIPE_MS]
        self._key = ripe[0] if ripe else keys[-1].id

    @classmethod
    async def load(cls, db: Database, *, now_ms: Callable[[], int] = now_ms) -> HubSigner:
        """Read the keys, adding one if there is none."""
        if not await _keys(db):
            await add_signing_key(db, _FIRST_KEY)
        return cls(await _keys(db), now_ms=now_ms)

    async def reload(self, db: Database) -> None:
        """Read the keys again, so that newer ones count."""
        self._use(await _keys(db))

    def sign(self, content: msgspec.Struct, *, purpose: str, seconds: float) -> str:
        """Return a URL-safe text from which ``read`` returns ``content``, for ``seconds``."""
        until = int(time.time() + seconds)
        packed = base64_encode(msgspec.msgpack.encode((purpose, until, content))).decode()
        return self._signers[self._key].sign(f"{self._key}.{packed}").decode()

    def read(self, text: str, shape: type[T], *, purpose: str) -> T:
        """Return the struct that ``text`` was signed for.

        Raises:
            InvalidCredentials: the text is forged, expired, or signed for another purpose.
        """
        try:
            signer = self._signers[text.partition(".")[0]]
            packed = signer.unsign(text).decode().partition(".")[2]
            type_: Any = tuple[str, int, shape]  # type: ignore[valid-type]
            signed_for, until, content = msgspec.msgpack.decode(base64_decode(packed), type=type_)
        except (KeyError, BadSignature, msgspec.DecodeError, ValueError):
            raise InvalidCredentials() from None
        if signed_for != purpose or until < time.time():
            raise InvalidCredentials()
        return content  # type: ignore[no-any-return]


def _concealing(secret: str) -> bytes:
    """Return the key for concealed texts, which is another one than that of signatures."""
    return hmac.digest(secret.encode(), b"hubstead conceal", "sha256")


def _cipher(secret: bytes, purpose: str, nonce: bytes, data: bytes) -> bytes:
    """Encrypt or decrypt ``data``: XOR with a stream of HMACs of the nonce and a counter."""
    start = purpose.encode() + b"\0" + nonce
    blocks = -(-len(data) // _BLOCK)
    stream = b"".join(
        hmac.digest(secret, start + block.to_bytes(4, "big"), "sha256") for block in range(blocks)
    )
    return bytes(one ^ other for one, other in zip(data, stream, strict=False))


def _signer(key: SigningKey) -> Signer:
    """Return the signer of a key, with its key derived once instead of per signature."""
    derived = Signer(key.secret, salt="hubstead", key_derivation="hmac").derive_key()
    return Signer(derived, key_derivation="none")


async def _keys(db: Database) -> list[SigningKey]:
    return await db.all(_KEYS)


async def add_signing_key(db: Database, key_id: str | None = None) -> str:
    """Add a signing key and return its id; an existing key with that id stays unchanged."""
    key_id = key_id or secrets.token_hex(4)
    await db.write(_add, key_id, now_ms())
    return key_id


async def _add(tx: Tx, key_id: str, created_ms: int) -> None:
    await tx.run(_ADD, id=key_id, secret=secrets.token_hex(32), created_ms=created_ms)


async def rotate_keys(db: Database, *, now_ms: Callable[[], int] = now_ms) -> None:
    """Add a key if the newest is due for rotation, and delete keys whose signatures expired.

    Args:
        db: The database.
        now_ms: The clock, in milliseconds since the epoch.
    """
    keys, now = await _keys(db), now_ms()
    if not keys or keys[0].created_ms <= now - ROTATION_MS:
        await db.write(_add, secrets.token_hex(4), now)
        await db.write(_delete_before, now - RETENTION_MS)


async def _delete_before(tx: Tx, before_ms: int) -> None:
    await tx.run(_DELETE_OLDER, before_ms=before_ms)
