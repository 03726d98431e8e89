"""Rights that do not depend on a repository."""

from __future__ import annotations

from hubstead.accounts.actor import Actor
from hubstead.errors import Forbidden, LoginRequired


def require_writable(actor: Actor) -> None:
    """Raise unless the credentials of ``actor`` may write anywhere at all.

    Raises:
        LoginRequired: the caller is not signed in.
        Forbidden: the caller's token is read-only.
    """
    if not actor.signed_in:
        raise LoginRequired()
    if not actor.may_write:
        raise Forbidden(
            reason=f"The token {actor.token_name!r} has the role {actor.token_role}: "
            "this needs one with the role write"
        )
