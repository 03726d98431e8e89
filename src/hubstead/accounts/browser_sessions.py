"""Sign-ins of browsers: a random id in a cookie, stored as its digest, ended at once everywhere.

A session lasts while it is used (``SessionLimits.idle_s``), and never longer than
``SessionLimits.absolute_s``. A sign-in always makes a new one, whatever id the browser sent.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Integer, bindparam, delete, func, or_, select, update

from hubstead.accounts.actor import ANONYMOUS, Actor, Credential, actor_of
from hubstead.accounts.tables import accounts, browser_sessions
from hubstead.db import Database, Reader, Tx, indexed, insert_into, scan
from hubstead.errors import InvalidInput
from hubstead.ids import new_object_id, now_ms

#: How much of what the browser says of itself is kept.
_AGENT_CHARS = 300
_ID_CHARS = 200


class SessionLimits(NamedTuple):
    """How long sessions of browsers last, and how many one user has."""

    idle_s: float = 14 * 86_400.0  # without a request
    absolute_s: float = 90 * 86_400.0  # from the sign-in
    most: int = 100  # of one user; a further one ends the oldest


class BrowserSession(NamedTuple):
    """A session as its user sees it."""

    pk: int
    id: str
    created_ms: int
    last_used_ms: int
    address: str
    agent: str


class _SessionUser(NamedTuple):
    pk: int
    name: str
    email: str | None
    is_admin: int
    disabled: int
    session_pk: int
    created_ms: int
    last_used_ms: int


_FIND = indexed(
    select(
        accounts.c.pk,
        accounts.c.name,
        accounts.c.email,
        accounts.c.is_admin,
        accounts.c.disabled,
        browser_sessions.c.pk.label("session_pk"),
        browser_sessions.c.created_ms,
        browser_sessions.c.last_used_ms,
    )
    .join_from(browser_sessions, accounts, browser_sessions.c.user_pk == accounts.c.pk)
    .where(browser_sessions.c.hash == bindparam("hash")),
    _SessionUser,
)
_ADD = indexed(
    insert_into(
        browser_sessions,
        "id",
        "user_pk",
        "hash",
        "created_ms",
        "last_used_ms",
        "address",
        "agent",
    )
)
_OF_USER = browser_sessions.c.user_pk == bindparam("user_pk")
_LIST = indexed(
    select(*(browser_sessions.c[name] for name in BrowserSession._fields))
    .where(_OF_USER)
    .order_by(browser_sessions.c.last_used_ms.desc(), browser_sessions.c.pk.desc()),
    BrowserSession,
)
_COUNT = indexed(select(func.count().label("n")).select_from(browser_sessions).where(_OF_USER), int)
_OLDEST = indexed(
    select(browser_sessions.c.pk)
    .where(_OF_USER)
    .order_by(browser_sessions.c.created_ms, browser_sessions.c.pk)
    .limit(bindparam("count", type_=Integer)),
    int,
)
_END = indexed(delete(browser_sessions).where(browser_sessions.c.pk == bindparam("which")))
_END_ID = indexed(
    delete(browser_sessions).where(_OF_USER, browser_sessions.c.id == bindparam("session_id"))
)
_END_OTHERS = indexed(
    delete(browser_sessions).where(_OF_USER, browser_sessions.c.pk != bindparam("kept_pk"))
)
_USED = indexed(
    update(browser_sessions)
    .values(last_used_ms=bindparam("used_ms"))
    .where(browser_sessions.c.pk == bindparam("session_pk"))
)
_EXPIRE = scan(
    delete(browser_sessions).where(
        or_(
            browser_sessions.c.last_used_ms <= bindparam("used_until_ms"),
            browser_sessions.c.created_ms <= bindparam("created_until_ms"),
        )
    )
)


def _digest(session_id: str) -> str:
    return hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()


async def open_browser_session(
    tx: Tx, user_pk: int, *, address: str, agent: str, limits: SessionLimits
) -> str:
    """Create a session of a user whose password was checked, and return its secret id.

    Args:
        tx: The transaction that creates the session.
        user_pk: The user.
        address: Where the request came from, for the user's list.
        agent: What the browser says of itself, for the user's list.
        limits: The most sessions of one user; a further one ends the oldest.
    """
    excess = await tx.single(_COUNT, user_pk=user_pk) - limits.most + 1
    if excess > 0:
        for which in await tx.all(_OLDEST, user_pk=user_pk, count=excess):
            await tx.run(_END, which=which)
    secret = secrets.token_urlsafe(32)
    now = now_ms()
    await tx.run(
        _ADD,
        id=new_object_id(),
        user_pk=user_pk,
        hash=_digest(secret),
        created_ms=now,
        last_used_ms=now,
        address=address,
        agent=agent.replace("\0", "")[:_AGENT_CHARS],
    )
    return secret


async def authenticate_browser_session(db: Reader, secret: str, limits: SessionLimits) -> Actor:
    """Return the actor of a session; ANONYMOUS if it is unknown, over, or its user disabled."""
    if not secret or len(secret) > _ID_CHARS:
        return ANONYMOUS
    row = await db.one(_FIND, hash=_digest(secret))
    if row is None or row.disabled:
        return ANONYMOUS
    used_until, created_until = _ends(limits)
    if row.last_used_ms <= used_until or row.created_ms <= created_until:
        return ANONYMOUS
    credential = Credential(kind="browser", role="write", session_pk=row.session_pk)
    return actor_of(row, credential)


def _ends(limits: SessionLimits) -> tuple[int, int]:
    """Return the last use and the creation of the sessions that end now."""
    now = now_ms()
    return now - int(limits.idle_s * 1000), now - int(limits.absolute_s * 1000)


async def list_browser_sessions(db: Reader, user_pk: int) -> list[BrowserSession]:
    """Return the sessions of a user, the one used last first."""
    return await db.all(_LIST, user_pk=user_pk)


async def end_browser_session(db: Database, actor: Actor, session_id: str = "") -> None:
    """End a session of ``actor``: the one with this public id, or the one of this request.

    A session that is over already, or of another user, changes nothing.

    Raises:
        InvalidInput: without an id, and the request came without a session.
    """
    if session_id:
        await db.execute(_END_ID, user_pk=actor.pk, session_id=session_id)
    elif actor.session_pk:
        await db.execute(_END, which=actor.session_pk)
    else:
        raise InvalidInput(reason="this request has no session")


async def end_browser_sessions(tx: Tx, user_pk: int, *, but: int = 0) -> None:
    """End all sessions of a user, ``but`` the one with this number."""
    await tx.run(_END_OTHERS, user_pk=user_pk, kept_pk=but)


async def record_session_use(tx: Tx, used_ms: Mapping[int, int]) -> None:
    """Write when sessions were last used, by their numbers."""
    rows = [{"session_pk": pk, "used_ms": at} for pk, at in sorted(used_ms.items())]
    await tx.run_many(_USED, rows)


async def expire_browser_sessions(db: Database, limits: SessionLimits) -> None:
    """Delete the sessions that are over."""
    used_until, created_until = _ends(limits)
    await db.execute(_EXPIRE, used_until_ms=used_until, created_until_ms=created_until)
