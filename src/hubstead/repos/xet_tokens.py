"""Passes: short-lived tokens for the Xet store, each for one repository and one right.

A client asks the Hub for one (``xet-read-token``, ``xet-write-token``) and shows it at every call
below ``casUrl`` (protocol/xet.md 10.1). A pass says who may try; whether they still may is asked
each time it is shown.
"""

from __future__ import annotations

import time

import msgspec

from hubstead.accounts import Actor, HubSigner, reload_actor, require_writable
from hubstead.db import Reader
from hubstead.errors import Forbidden
from hubstead.repos.access import Repo, Right, open_repo_by_id

PURPOSE = "xet pass"
#: Where terms and answers count: the whole hub. It stands in ``casUrl`` behind the epoch, so
#: that clients keep what they know of different scopes apart.
SCOPE = "hub"


class XetToken(msgspec.Struct, frozen=True, array_like=True):
    """What a pass was issued for."""

    repo_id: str  # its immutable id
    user_pk: int  # 0: nobody, of a public repository
    token_pk: int  # 0: signed in by password
    write: bool
    epoch: str
    proposing: bool = False  # writes for a pull request only, which readers may open

    @property
    def right(self) -> Right:
        """The most that it can be used for."""
        return Right.WRITE if self.write else Right.READ


def cas_url(public_url: str, epoch: str) -> str:
    """Return the address of the Xet store, without a last slash.

    Clients remember for 21 days, under this very text, what they have stored there.
    """
    return f"{public_url}/xet/{epoch}/{SCOPE}"


def issue_xet_token(
    seal: HubSigner,
    actor: Actor,
    repo: Repo,
    *,
    write: bool,
    epoch: str,
    seconds: float,
    proposing: bool = False,
) -> tuple[str, int]:
    """Make a pass for a caller who has the right to ``repo``; asking for that is the caller's.

    Args:
        seal: What signs it.
        actor: Who may use it.
        repo: What for.
        write: Whether it may upload, too.
        epoch: The one it is good in.
        seconds: How long.
        proposing: What it uploads is for a pull request: reading the repository suffices.

    Returns:
        The pass, and when it ends (Unix time in seconds).
    """
    content = XetToken(repo.id, actor.pk, actor.token_pk, write, epoch, proposing)
    until = int(time.time() + seconds)
    return seal.sign(content, purpose=PURPOSE, seconds=seconds), until


async def open_xet_token(
    db: Reader, seal: HubSigner, text: str, right: Right
) -> tuple[Actor, Repo, XetToken]:
    """Return whose pass this is and the repository, with ``right`` to it as of today.

    Args:
        db: The database.
        seal: What signed it.
        text: The pass, as the client sent it.
        right: ``READ``, or ``WRITE`` for what uploads.

    Raises:
        InvalidCredentials: forged, over, or its user or their token is no longer good.
        Forbidden: it is for reading only, or the rights of its user are.
        RepoNotFound: the repository is gone, or hidden from its user.
        HubError: what else ``open_repo`` raises.
    """
    shown = seal.read(text, XetToken, purpose=PURPOSE)
    if right > shown.right:
        raise Forbidden(reason="This token is for reading only: ask for a Xet write token")
    actor = await reload_actor(db, shown.user_pk, shown.token_pk)
    if right is Right.WRITE and shown.proposing:
        repo = await open_repo_by_id(db, actor, shown.repo_id, Right.READ)
        require_writable(actor)
    else:
        repo = await open_repo_by_id(db, actor, shown.repo_id, right)
    return actor, repo, shown
