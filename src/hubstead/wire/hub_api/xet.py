"""Xet tokens: what a client shows at the Xet store to download or to upload."""

from __future__ import annotations

from hubstead.repos import Right, require, require_proposing
from hubstead.wire.http import Answer, Call, XetAccess, json_answer, xet_access
from hubstead.wire.hub_api import shapes

PULL_REFS = "refs/pr/"


async def read_token(call: Call) -> Answer:
    """Let the caller download the repository's files from the Xet store."""
    await call.revision("/".join(call.segments("rev")) or "HEAD")
    return _told(await xet_access(call, write=False))


async def write_token(call: Call) -> Answer:
    """Let the caller upload files to the Xet store, for a branch or for a pull request.

    With ``create_pr`` the revision says nothing: Python clients write ``None`` there
    (protocol/hub-api.md 5.1).
    """
    text = "/".join(call.segments("rev")) or "HEAD"
    opening = call.query.flag("create_pr")
    proposing = opening or text.startswith(PULL_REFS)
    if proposing:
        require_proposing(call.actor)
    else:
        require(call.repo, call.actor, Right.WRITE)
    if not opening and not _is_first_commit(call, text):
        await call.revision(text)
    return _told(await xet_access(call, write=True, proposing=proposing))


def _is_first_commit(call: Call, text: str) -> bool:
    name = text.removeprefix("refs/heads/")
    return call.repo.head is None and name in ("HEAD", call.repo.default_branch)


def _told(access: XetAccess) -> Answer:
    """Say it in both forms: clients read either the body or the headers."""
    body = shapes.XetToken(access.token, access.until, access.url)
    return json_answer(body, headers={**access.headers, "Cache-Control": "no-store"})
