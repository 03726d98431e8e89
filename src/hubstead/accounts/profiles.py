"""Profiles: what accounts say of themselves."""

from __future__ import annotations

import msgspec
from sqlalchemy import bindparam, select, update

from hubstead.accounts.tables import accounts
from hubstead.db import Database, Reader, Tx, indexed
from hubstead.errors import AccountNotFound, InvalidInput

MAX_DETAILS = 1000
MAX_HANDLE = 100
#: The services that a profile may name an account of.
SOCIAL_SERVICES = ("twitter", "github", "linkedin", "bluesky")


class Profile(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an account says of itself; stored as JSON."""

    details: str = ""
    handles: dict[str, str] = {}  # by service; see SOCIAL_SERVICES


_LOAD = indexed(select(accounts.c.profile).where(accounts.c.pk == bindparam("account_pk")), str)
_SAVE = indexed(
    update(accounts)
    .values(profile=bindparam("json"))
    .where(accounts.c.pk == bindparam("account_pk"))
)
_SAVE_FULLNAME = indexed(
    update(accounts)
    .values(fullname=bindparam("text"))
    .where(accounts.c.pk == bindparam("account_pk"))
)


async def load_profile(db: Reader, account_pk: int) -> Profile:
    """Return the profile of an account.

    Raises:
        AccountNotFound: there is no such account.
    """
    stored = await db.one(_LOAD, account_pk=account_pk)
    if stored is None:
        raise AccountNotFound(name=str(account_pk))
    return msgspec.json.decode(stored, type=Profile)


async def change_profile(
    db: Database,
    account_pk: int,
    *,
    fullname: str | None = None,
    details: str | None = None,
    handles: dict[str, str] | None = None,
) -> None:
    """Change parts of a profile; a part that is None stays, an empty handle is removed.

    Raises:
        InvalidInput: a text is too long, or a service is unknown.
    """
    _check(fullname, details, handles or {})

    async def write(tx: Tx) -> None:
        if fullname is not None:
            await tx.run(_SAVE_FULLNAME, account_pk=account_pk, text=fullname)
        profile = await load_profile(tx, account_pk)
        merged = {**profile.handles, **(handles or {})}
        changed = Profile(
            details=profile.details if details is None else details,
            handles={service: handle for service, handle in merged.items() if handle},
        )
        await tx.run(_SAVE, account_pk=account_pk, json=msgspec.json.encode(changed).decode())

    await db.write(write)


def _check(fullname: str | None, details: str | None, handles: dict[str, str]) -> None:
    texts = {"fullname": (fullname, MAX_HANDLE), "details": (details, MAX_DETAILS)}
    for service, handle in handles.items():
        if service not in SOCIAL_SERVICES:
            raise InvalidInput(
                reason=f'"socialHandles" has the names {", ".join(SOCIAL_SERVICES)} only'
            )
        texts[service] = (handle, MAX_HANDLE)
    for name, (text, most) in texts.items():
        if text is not None and (len(text) > most or "\0" in text):
            raise InvalidInput(reason=f'"{name}" may have {most} characters, none of them NUL')
