"""Opens discussions and pull requests under the next number of their repository."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, select

from hubstead.accounts import Actor
from hubstead.db import Database, Reader, Tx, indexed, insert_into
from hubstead.discussions.counts import add_to_count
from hubstead.discussions.discussion import DiscussionRow, find_discussion
from hubstead.discussions.errors import DiscussionsDisabled
from hubstead.discussions.events import record_change
from hubstead.discussions.tables import discussions
from hubstead.discussions.text_rules import check_comment, check_title
from hubstead.discussions.timeline import add_event
from hubstead.ids import new_object_id, now_ms
from hubstead.repos import Repo, Right, load_details, reopen

_LAST_NUMBER = indexed(
    select(discussions.c.num)
    .where(discussions.c.repo_pk == bindparam("repo_pk"))
    .order_by(discussions.c.num.desc())
    .limit(1),
    int,
)
_INSERT = indexed(
    insert_into(
        discussions,
        "id",
        "repo_pk",
        "num",
        "title",
        "status",
        "is_open",
        "is_pull",
        "author_pk",
        "base",
        "created_ms",
        "active_ms",
    )
)


class Draft(NamedTuple):
    """The texts of a new discussion, checked."""

    title: str
    description: str

    @classmethod
    def checked(cls, title: str, description: str) -> Draft:
        """Return the texts if they keep the rules.

        Raises:
            InvalidInput: one is too short or too long.
        """
        text = check_comment(description, "description", may_be_empty=True)
        return cls(check_title(title), text)


async def require_enabled(db: Reader, repo: Repo) -> None:
    """Refuse a repository whose owner switched discussions off.

    Raises:
        DiscussionsDisabled: the setting ``discussionsDisabled`` is on.
    """
    settings = msgspec.json.decode((await load_details(db, repo)).settings)
    if settings.get("discussionsDisabled") is True:
        raise DiscussionsDisabled()


async def open_discussion(
    db: Database, actor: Actor, repo: Repo, title: str, description: str
) -> DiscussionRow:
    """Open a discussion; the description becomes its first comment.

    Raises:
        InvalidInput: a text is too short or too long.
        DiscussionsDisabled: the repository has none.
        HubError: those of ``open_repo`` with the right PROPOSE.
    """
    return await db.write(_open, actor, repo, Draft.checked(title, description))


async def _open(tx: Tx, actor: Actor, repo: Repo, draft: Draft) -> DiscussionRow:
    again = await reopen(tx, actor, repo, Right.PROPOSE)
    await require_enabled(tx, again)
    return await insert_discussion(tx, actor, again, draft, await next_number(tx, again.pk))


async def next_number(tx: Tx, repo_pk: int) -> int:
    """Return the next number of a repository whose row this transaction has locked."""
    return (await tx.one(_LAST_NUMBER, repo_pk=repo_pk) or 0) + 1


async def insert_discussion(
    tx: Tx,
    actor: Actor,
    repo: Repo,
    draft: Draft,
    num: int,
    *,
    base: str | None = None,
    status: str = "open",
) -> DiscussionRow:
    """Insert a discussion, or with ``base`` a pull request, with its first comment."""
    at_ms, is_pull = now_ms(), int(base is not None)
    await tx.run(
        _INSERT,
        id=new_object_id(),
        repo_pk=repo.pk,
        num=num,
        title=draft.title,
        status=status,
        is_open=1,
        is_pull=is_pull,
        author_pk=actor.pk,
        base=base,
        created_ms=at_ms,
        active_ms=at_ms,
    )
    await add_to_count(tx, repo.pk, is_pull=is_pull, is_open=1, by=1)
    discussion = await find_discussion(tx, repo.pk, num)
    if draft.description.strip():
        await add_event(tx, discussion, actor.pk, "comment", body=draft.description)
    await record_change(tx, repo, discussion, "create", actor.name)
    return discussion
