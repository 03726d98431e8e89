"""Authenticate a request: Bearer, Basic (protocol/hub-api.md 2.3), and sessions of browsers."""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress

from hubstead.accounts import (
    ANONYMOUS,
    Actor,
    authenticate_browser_session,
    authenticate_token,
)
from hubstead.errors import InvalidCredentials, SignInFailed
from hubstead.wire.request import Hub

#: What git tools write for the password next to a token as the user name.
_NO_PASSWORD = frozenset(("", "x-oauth-basic"))


async def identify(hub: Hub, authorization: str | None, address: str) -> Actor:
    """Return the actor of these credentials; ANONYMOUS without any.

    Basic accepts a token as password with any user name, a token as user name without a
    password or with the word that stands for none, and a user name with that user's password
    (legacy clients' git).

    Raises:
        InvalidCredentials: the credentials are not valid.
        RateLimited: the address sent too many wrong passwords.
    """
    if authorization is None:
        return ANONYMOUS
    scheme, _, value = authorization.strip().partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer" and value:
        actor = await authenticate_token(hub.db, value)
    elif scheme.lower() == "basic":
        actor = await _basic(hub, value, address)
    else:
        raise InvalidCredentials()
    hub.last_use.note(actor)
    return actor


async def identify_browser(hub: Hub, secret: str) -> Actor:
    """Return the actor of a browser's session; ANONYMOUS if it is over: its user signs in again."""
    if not secret:
        return ANONYMOUS
    actor = await authenticate_browser_session(hub.db, secret, hub.sign_in.session_limits)
    hub.last_use.note(actor)
    return actor


async def _basic(hub: Hub, value: str, address: str) -> Actor:
    try:
        decoded = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidCredentials() from None
    name, _, password = decoded.partition(":")
    is_token_alone = password in _NO_PASSWORD
    if not name and is_token_alone:
        raise InvalidCredentials()
    with suppress(InvalidCredentials):
        return await authenticate_token(hub.db, name if is_token_alone else password)
    if not name or is_token_alone:
        raise InvalidCredentials()
    try:
        return await hub.sign_in.check(name, password, address)
    except SignInFailed:
        raise InvalidCredentials() from None
