"""Who is asking."""

from __future__ import annotations

import msgspec


class Actor(msgspec.Struct, frozen=True):
    """The caller of a request, as the credentials it sent say.

    Rights over a repository are not decided here but in ``repos/access.py``.
    """

    pk: int = 0  # 0: nobody signed in
    name: str = ""
    email: str | None = None
    is_admin: bool = False
    may_write: bool = False  # false for tokens of role read
    token_pk: int = 0  # 0: signed in by password
    token_name: str = ""
    token_role: str = ""  # read, write
    token_kind: str = ""  # access, session
    token_created_ms: int = 0

    @property
    def signed_in(self) -> bool:
        """Tell whether this is somebody."""
        return self.pk != 0


ANONYMOUS = Actor()
