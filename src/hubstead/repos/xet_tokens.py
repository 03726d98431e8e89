"""Xet tokens: short-lived, signed, for one repository and one right.

Clients get one from the Hub (``xet-read-token``, ``xet-write-token``) and send it with every
request below ``casUrl`` (protocol/xet.md 10.1). A token names its user; the user's rights are
checked again on every request.
"""

from __future__ import annotations

import time

import msgspec

from hubstead.accounts import Actor, HubSigner, reload_actor
from hubstead.db import Reader
from hubstead.errors import Forbidden
from hubstead.repos.access import Repo, Right, open_repo_by_id

PURPOSE = "xet pass"
#: The scope of terms and dedup answers: the whole hub. ``casUrl`` carries it behind the epoch,
#: because clients cache per address.
SCOPE = "hub"


class XetToken(msgspec.Struct, frozen=True, array_like=True):
    """The content of a Xet token."""

    repo_id: str  # its immutable id
    user_pk: int  # 0: anonymous, for a public repository
    token_pk: int  # 0: signed in by password
    write: bool
    epoch: str
    #: Uploads for a pull request, by somebody who may only read.
    proposing: bool = False

    @property
    def right(self) -> Right:
        """The highest right that the token can be used for."""
        if self.proposing:
            return Right.PROPOSE
        return Right.WRITE if self.write else Right.READ


def cas_url(public_url: str, epoch: str) -> str:
    """Return the address of the Xet store, without a trailing slash.

    Clients cache for 21 days, under exactly this text, what they have uploaded there.
    """
    return f"{public_url}/xet/{epoch}/{SCOPE}"


def issue_xet_token(
    signer: HubSigner,
    actor: Actor,
    repo: Repo,
    *,
    write: bool,
    proposing: bool = False,
    epoch: str,
    seconds: float,
) -> tuple[str, int]:
    """Issue a Xet token; the calling code has checked that ``actor`` has the right.

    Args:
        signer: Signs the token.
        actor: The user of the token.
        repo: The repository.
        write: Whether the token may upload as well.
        proposing: Whether it uploads for a pull request only.
        epoch: The epoch in which it is valid.
        seconds: Its lifetime.

    Returns:
        The token, and when it expires (Unix time in seconds).
    """
    token = XetToken(repo.id, actor.pk, actor.token_pk, write, epoch, proposing)
    until = int(time.time() + seconds)
    return signer.sign(token, purpose=PURPOSE, seconds=seconds), until


async def open_xet_token(
    db: Reader, signer: HubSigner, text: str, right: Right
) -> tuple[Actor, Repo, XetToken]:
    """Return the user and the repository of a Xet token, with ``right`` to it as of now.

    Args:
        db: The database.
        signer: Verifies the token.
        text: The token, as the client sent it.
        right: ``READ``, or ``PROPOSE`` for uploads.

    Raises:
        InvalidCredentials: the token is forged or expired, or its user is disabled, or the access
            token behind it is revoked.
        Forbidden: the token or its user may only read.
        RepoNotFound: the repository was deleted, or is hidden from the user.
        HubError: any other error of ``open_repo``.
    """
    token = signer.read(text, XetToken, purpose=PURPOSE)
    if right > token.right:
        raise Forbidden(reason="This token is for reading only: ask for a Xet write token")
    actor = await reload_actor(db, token.user_pk, token.token_pk)
    # A token of a writer shows more than that of a proposer: its user has to be one still.
    needed = token.right if right >= Right.PROPOSE else right
    return actor, await open_repo_by_id(db, actor, token.repo_id, needed), token
