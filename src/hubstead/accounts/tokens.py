"""Access tokens: shown once, stored as sha256, looked up for every request."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Integer, bindparam, delete, func, or_, select, update

from hubstead.accounts.actor import ANONYMOUS, Actor, Credential, actor_of
from hubstead.accounts.browser_sessions import record_session_use
from hubstead.accounts.tables import access_tokens, accounts
from hubstead.db import Database, Reader, Tx, indexed, insert_into, scan
from hubstead.errors import InvalidCredentials, InvalidInput, LimitReached, NotFound
from hubstead.ids import new_object_id, now_ms

ROLES = ("read", "write")
PREFIX = "hf_"  # what the JavaScript client insists on
MAX_VALUE_CHARS = 4096

_OF_TOKEN = select(
    accounts.c.pk,
    accounts.c.name,
    accounts.c.email,
    accounts.c.is_admin,
    accounts.c.disabled,
    access_tokens.c.pk.label("token_pk"),
    access_tokens.c.name.label("token_name"),
    access_tokens.c.role,
    access_tokens.c.kind.label("token_kind"),
    access_tokens.c.created_ms,
    access_tokens.c.expires_ms,
).join_from(access_tokens, accounts, access_tokens.c.user_pk == accounts.c.pk)


class _TokenUser(NamedTuple):
    pk: int
    name: str
    email: str | None
    is_admin: int
    disabled: int
    token_pk: int
    token_name: str
    role: str
    token_kind: str
    created_ms: int
    expires_ms: int | None


_FIND = indexed(_OF_TOKEN.where(access_tokens.c.hash == bindparam("hash")), _TokenUser)
_FIND_BY_PK = indexed(
    _OF_TOKEN.where(
        access_tokens.c.pk == bindparam("token_pk"), accounts.c.pk == bindparam("user_pk")
    ),
    _TokenUser,
)


class _User(NamedTuple):
    pk: int
    name: str
    email: str | None
    is_admin: int


_USER = indexed(
    select(accounts.c.pk, accounts.c.name, accounts.c.email, accounts.c.is_admin).where(
        accounts.c.pk == bindparam("user_pk"), accounts.c.disabled == 0, accounts.c.kind == "user"
    ),
    _User,
)
_ADD = indexed(
    insert_into(
        access_tokens,
        "id",
        "user_pk",
        "name",
        "hash",
        "hint",
        "kind",
        "role",
        "created_ms",
        "expires_ms",
    )
    .on_conflict_do_nothing()
    .returning(access_tokens.c.pk),
    int,
)


class AccessToken(NamedTuple):
    """A token as lists show it, without its secret."""

    pk: int
    id: str
    user_pk: int
    name: str
    hash: str
    hint: str
    kind: str
    role: str
    created_ms: int
    last_used_ms: int | None
    expires_ms: int | None
    user: str


_LIST = scan(
    select(access_tokens, accounts.c.name.label("user"))
    .join_from(access_tokens, accounts, access_tokens.c.user_pk == accounts.c.pk)
    .where((bindparam("every") == 1) | (accounts.c.name_key == bindparam("user_key")))
    .order_by(access_tokens.c.pk),
    AccessToken,
)
_REVOKE = indexed(delete(access_tokens).where(access_tokens.c.id == bindparam("token_id")))
_REVOKE_OWN = indexed(
    delete(access_tokens).where(
        access_tokens.c.id == bindparam("token_id"), access_tokens.c.user_pk == bindparam("user_pk")
    )
)
_REVOKE_PK = indexed(delete(access_tokens).where(access_tokens.c.pk == bindparam("token_pk")))
_REVOKE_HASH = indexed(delete(access_tokens).where(access_tokens.c.hash == bindparam("token_hash")))
_USED = indexed(
    update(access_tokens)
    .values(last_used_ms=bindparam("used_ms"))
    .where(access_tokens.c.pk == bindparam("token_pk"))
)


def hash_token(secret: str) -> str:
    """Return the hash that is stored of a token; a random secret needs no slow one."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def new_token() -> str:
    """Return a random secret."""
    return PREFIX + secrets.token_hex(20)


async def authenticate_token(db: Reader, secret: str) -> Actor:
    """Return the actor of the token ``secret``.

    Raises:
        InvalidCredentials: the token is unknown, expired or revoked, or its user disabled.
    """
    return _actor(await db.one(_FIND, hash=hash_token(secret)))


async def reload_actor(db: Reader, user_pk: int, token_pk: int = 0) -> Actor:
    """Return the actor that a signature of this hub names, with the rights of today.

    Args:
        db: The database.
        user_pk: The user; 0 for ANONYMOUS.
        token_pk: The token that the user authenticated with; 0 for a password.

    Raises:
        InvalidCredentials: the user is disabled or deleted, or the token expired or revoked.
    """
    if not user_pk:
        return ANONYMOUS
    if token_pk:
        return _actor(await db.one(_FIND_BY_PK, token_pk=token_pk, user_pk=user_pk))
    row = await db.one(_USER, user_pk=user_pk)
    if row is None:
        raise InvalidCredentials()
    return actor_of(row)


def _actor(row: _TokenUser | None) -> Actor:
    if row is None or row.disabled or (row.expires_ms and row.expires_ms <= now_ms()):
        raise InvalidCredentials()
    token = Credential(row.token_kind, row.role, row.token_pk, row.token_name, row.created_ms)
    return actor_of(row, token)


_LIVE = [
    access_tokens.c.user_pk == bindparam("user_pk"),
    access_tokens.c.kind == bindparam("kind"),
    or_(access_tokens.c.expires_ms.is_(None), access_tokens.c.expires_ms > bindparam("now_ms")),
]
_COUNT_LIVE = indexed(select(func.count().label("n")).select_from(access_tokens).where(*_LIVE), int)
_OLDEST = indexed(
    select(access_tokens.c.pk)
    .where(*_LIVE)
    .order_by(access_tokens.c.created_ms, access_tokens.c.pk)
    .limit(bindparam("count", type_=Integer)),
    int,
)
_END = indexed(delete(access_tokens).where(access_tokens.c.pk == bindparam("which")))


async def _make_room(tx: Tx, user_pk: int, kind: str, limit: int) -> None:
    """End the oldest sessions beyond a limit; refuse an access token beyond it.

    Raises:
        LimitReached: the user has as many access tokens already.
    """
    live = {"user_pk": user_pk, "kind": kind, "now_ms": now_ms()}
    excess = await tx.single(_COUNT_LIVE, **live) - limit + 1
    if excess <= 0:
        return
    if kind != "session":
        setting = "max_tokens_per_user"
        raise LimitReached(owner="The user", limit=limit, what="tokens", setting=setting)
    for token_pk in await tx.all(_OLDEST, **live, count=excess):
        await tx.run(_END, which=token_pk)


async def add_token(
    tx: Tx,
    user_pk: int,
    *,
    name: str,
    role: str = "write",
    value: str | None = None,
    kind: str = "access",
    expires_ms: int | None = None,
    limit: int | None = None,
) -> str:
    """Create a token for a user and return its secret, which is not stored.

    Args:
        tx: The transaction that creates the token.
        user_pk: The user.
        name: Its name in lists.
        role: ``read`` or ``write``.
        value: An existing secret to import, in any format; None for a random one.
        kind: ``access``, or ``session`` for a sign-in.
        expires_ms: When it expires; None for never.
        limit: The most tokens of this kind that the user may have; None for any number.

    Raises:
        LimitReached: the user has as many access tokens; of sessions the oldest one ends instead.
        InvalidInput: the role is unknown, or the value is in use or cannot be a secret.
    """
    if role not in ROLES:
        raise InvalidInput(reason=f"a token's role is one of {', '.join(ROLES)}")
    secret = new_token() if value is None else value
    if not secret or len(secret) > MAX_VALUE_CHARS or not secret.isprintable() or " " in secret:
        raise InvalidInput(reason="a token is made of printable characters without blanks")
    if limit is not None:
        await _make_room(tx, user_pk, kind, limit)
    token_pk = await tx.one(
        _ADD,
        id=new_object_id(),
        user_pk=user_pk,
        name=name,
        hash=hash_token(secret),
        hint=secret[-4:] if len(secret) >= 16 else "",
        kind=kind,
        role=role,
        created_ms=now_ms(),
        expires_ms=expires_ms,
    )
    if token_pk is None:
        raise InvalidInput(reason="this token value is in use already")
    return secret


async def list_tokens(db: Reader, user: str | None = None) -> list[AccessToken]:
    """Return the tokens of ``user``, or of all users if None."""
    return await db.all(_LIST, every=int(user is None), user_key=(user or "").casefold())


async def revoke_token(tx: Tx, token_id: str) -> None:
    """Revoke the token with this id, or with this secret.

    Raises:
        NotFound: there is no such token.
    """
    revoked = await tx.run(_REVOKE, token_id=token_id)
    if not revoked and not await tx.run(_REVOKE_HASH, token_hash=hash_token(token_id)):
        raise NotFound(reason=f"there is no token {token_id[:6]}…")


async def revoke_own_token(tx: Tx, actor: Actor, token_id: str) -> None:
    """Revoke the access token of ``actor`` with this id.

    Raises:
        NotFound: the user has no such token.
    """
    if not await tx.run(_REVOKE_OWN, token_id=token_id, user_pk=actor.pk):
        raise NotFound(reason="You have no such token")


async def end_session(db: Database, actor: Actor) -> None:
    """End the session that ``actor`` signed in with.

    Raises:
        InvalidInput: the actor uses an access token, which a logout must not revoke
            (huggingface_hub 0.2-0.7 expects the 400).
    """
    if actor.token_kind != "session":
        raise InvalidInput(reason="this is an access token, not a session: it cannot be logged out")
    await db.execute(_REVOKE_PK, token_pk=actor.token_pk)


class LastUse:
    """Collects when tokens and sessions were last used, for batched writes to the database."""

    def __init__(self) -> None:
        self._used: dict[int, int] = {}
        self._used_sessions: dict[int, int] = {}

    def note(self, actor: Actor) -> None:
        """Record that the token or the session of ``actor`` was used now."""
        if actor.token_pk:
            self._used[actor.token_pk] = now_ms()
        if actor.session_pk:
            self._used_sessions[actor.session_pk] = now_ms()

    async def flush(self, db: Database) -> None:
        """Write the recorded times to the database."""
        used, self._used = self._used, {}
        sessions, self._used_sessions = self._used_sessions, {}
        if used:
            await db.write(_record_use, used)
        if sessions:
            await db.write(record_session_use, sessions)


async def _record_use(tx: Tx, used_ms: Mapping[int, int]) -> None:
    await tx.run_many(_USED, [{"token_pk": pk, "used_ms": at} for pk, at in used_ms.items()])
