"""The JSON of users and organizations, wherever an answer names one."""

from __future__ import annotations

from typing import Any, Protocol

from hubstead.wire import Request


class NamedAccount(Protocol):
    """What the JSON shows of an account: every row of one has these."""

    @property
    def id(self) -> str:
        """Its 24 hex digits."""

    @property
    def name(self) -> str:
        """Its present name."""

    @property
    def fullname(self) -> str:
        """Its name for people; may be empty."""


def account_json(request: Request, account: NamedAccount, kind: str = "user") -> dict[str, Any]:
    """Return the fields that users and organizations share."""
    return {
        "_id": account.id,
        "id": account.id,
        "type": kind,
        "fullname": account.fullname or account.name,
        "avatarUrl": f"{request.public_url}/favicon.ico",
    }


def person_json(request: Request, account: NamedAccount) -> dict[str, Any]:
    """Return a user as an item of a list."""
    return {**account_json(request, account), "user": account.name, "isPro": False}


def author_json(request: Request, account: NamedAccount, kind: str) -> dict[str, Any]:
    """Return the author or owner of something (protocol/hub-api.md 4)."""
    shared = {**account_json(request, account, kind), "name": account.name, "isHf": False}
    return shared | ({"isPro": False} if kind == "user" else {})
