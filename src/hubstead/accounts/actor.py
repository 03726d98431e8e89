"""The caller of a request."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import msgspec


class Actor(msgspec.Struct, frozen=True):
    """The caller of a request, authenticated by the credentials that came with it.

    ``repos/access.py`` decides its rights over repositories, ``accounts/access.py`` over
    organizations.
    """

    pk: int = 0  # 0: anonymous
    name: str = ""
    email: str | None = None
    is_admin: bool = False
    may_write: bool = False  # false for tokens of role read
    token_pk: int = 0  # 0: signed in by password
    token_name: str = ""
    token_role: str = ""  # read, write
    token_kind: str = ""  # access, session, password, browser
    token_created_ms: int = 0
    session_pk: int = 0  # of a browser; 0: signed in otherwise

    @property
    def signed_in(self) -> bool:
        """Return whether the caller is a user, not anonymous."""
        return self.pk != 0


ANONYMOUS = Actor()


class Credential(NamedTuple):
    """A token or password that authenticated a user."""

    kind: str  # access, session, password, browser
    role: str  # read, write
    pk: int = 0  # of the token
    name: str = ""
    created_ms: int = 0
    session_pk: int = 0  # of a browser


PASSWORD = Credential(kind="password", role="write")


class User(Protocol):
    """The columns of a user's row that an ``Actor`` carries."""

    @property
    def pk(self) -> int: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def email(self) -> str | None: ...  # noqa: D102
    @property
    def is_admin(self) -> int: ...  # noqa: D102


def actor_of(user: User, credential: Credential = PASSWORD) -> Actor:
    """Return the actor for a user whose credential was checked and is valid."""
    return Actor(
        pk=user.pk,
        name=user.name,
        email=user.email,
        is_admin=bool(user.is_admin),
        may_write=credential.role == "write",
        token_pk=credential.pk,
        token_name=credential.name,
        token_role=credential.role,
        token_kind=credential.kind,
        token_created_ms=credential.created_ms,
        session_pk=credential.session_pk,
    )
