"""Discussions and their events as values, and the statements that read them."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Select, bindparam, select

from hubstead.accounts.tables import accounts
from hubstead.commits import PULLS
from hubstead.db import Reader, indexed, scan
from hubstead.discussions.errors import DiscussionNotFound
from hubstead.discussions.tables import comment_versions, discussion_events, discussions

_AUTHOR = accounts.alias("author")
_EDITOR = accounts.alias("editor")


class DiscussionRow(NamedTuple):
    """A discussion with its author; the columns of an author are None if the account is gone."""

    pk: int
    id: str
    num: int
    title: str
    status: str  # draft, open, closed, merged
    is_open: int
    is_pull: int
    author_pk: int | None
    pinned: int
    locked: int
    comments: int
    base: str | None  # of a pull request: refs/heads/main
    merge_commit: str | None
    created_ms: int
    active_ms: int
    author_id: str | None
    author_name: str | None
    author_fullname: str | None

    @property
    def ref(self) -> str:
        """The ref of a pull request's head."""
        return f"{PULLS}{self.num}"


class EventRow(NamedTuple):
    """An event with its author and, for a comment, its last editor."""

    pk: int
    id: str
    type: str
    author_pk: int | None
    data: str
    body: str | None
    edits: int
    edited_ms: int | None
    hidden: int
    created_ms: int
    author_id: str | None
    author_name: str | None
    author_fullname: str | None
    editor_id: str | None
    editor_name: str | None
    editor_fullname: str | None

    @property
    def facts(self) -> dict[str, Any]:
        """The data of an event that is no comment, as clients read it."""
        facts: dict[str, Any] = msgspec.json.decode(self.data)
        return facts


class CommentVersion(NamedTuple):
    """What a comment said before an edit."""

    event_pk: int
    body: str
    written_ms: int
    author_name: str | None


class DiscussionThread(msgspec.Struct, frozen=True):
    """A discussion with all that happened in it."""

    discussion: DiscussionRow
    events: tuple[EventRow, ...]
    versions: dict[int, list[CommentVersion]]  # past ones of comments, by number of the event


def select_discussions() -> Select[Any]:
    """Return the selection of ``DiscussionRow`` from all repositories."""
    return select(
        *(discussions.c[name] for name in DiscussionRow._fields[:-3]),
        _AUTHOR.c.id.label("author_id"),
        _AUTHOR.c.name.label("author_name"),
        _AUTHOR.c.fullname.label("author_fullname"),
    ).outerjoin_from(discussions, _AUTHOR, _AUTHOR.c.pk == discussions.c.author_pk)


_ONE = indexed(
    select_discussions().where(
        discussions.c.repo_pk == bindparam("repo_pk"),
        discussions.c.num == bindparam("num"),
        discussions.c.status != "deleted",
    ),
    DiscussionRow,
)
_SELECT_EVENTS = (
    select(
        *(discussion_events.c[name] for name in EventRow._fields[:-6]),
        _AUTHOR.c.id.label("author_id"),
        _AUTHOR.c.name.label("author_name"),
        _AUTHOR.c.fullname.label("author_fullname"),
        _EDITOR.c.id.label("editor_id"),
        _EDITOR.c.name.label("editor_name"),
        _EDITOR.c.fullname.label("editor_fullname"),
    )
    .outerjoin_from(discussion_events, _AUTHOR, _AUTHOR.c.pk == discussion_events.c.author_pk)
    .outerjoin(_EDITOR, _EDITOR.c.pk == discussion_events.c.editor_pk)
    .where(discussion_events.c.discussion_pk == bindparam("discussion_pk"))
)
_EVENTS = scan(_SELECT_EVENTS.order_by(discussion_events.c.pk), EventRow)
_EVENT = indexed(_SELECT_EVENTS.where(discussion_events.c.id == bindparam("event_id")), EventRow)
_SELECT_VERSIONS = (
    select(
        comment_versions.c.event_pk,
        comment_versions.c.body,
        comment_versions.c.written_ms,
        _AUTHOR.c.name.label("author_name"),
    )
    .join_from(
        discussion_events,
        comment_versions,
        comment_versions.c.event_pk == discussion_events.c.pk,
    )
    .outerjoin(_AUTHOR, _AUTHOR.c.pk == comment_versions.c.author_pk)
    .where(discussion_events.c.discussion_pk == bindparam("discussion_pk"))
    .order_by(comment_versions.c.event_pk, comment_versions.c.seq)
)
_VERSIONS = scan(_SELECT_VERSIONS, CommentVersion)


async def find_discussion(db: Reader, repo_pk: int, num: int) -> DiscussionRow:
    """Return a discussion or pull request by its number.

    Raises:
        DiscussionNotFound: the repository has none of this number, or it was deleted.
    """
    row = await db.one(_ONE, repo_pk=repo_pk, num=num) if 0 < num < 2**31 else None
    if row is None:
        raise DiscussionNotFound(reason=f"#{num}")
    return row


async def find_event(db: Reader, discussion: DiscussionRow, event_id: str) -> EventRow:
    """Return an event of a discussion by its id, in either case.

    Raises:
        DiscussionNotFound: the discussion has no such event.
    """
    row = await db.one(_EVENT, discussion_pk=discussion.pk, event_id=event_id.lower())
    if row is None:
        raise DiscussionNotFound(reason=event_id[:40])
    return row


async def versions_of(db: Reader, discussion: DiscussionRow) -> dict[int, list[CommentVersion]]:
    """Return the past versions of all comments of a discussion, oldest first."""
    versions: dict[int, list[CommentVersion]] = {}
    for version in await db.all(_VERSIONS, discussion_pk=discussion.pk):
        versions.setdefault(version.event_pk, []).append(version)
    return versions


async def load_thread(db: Reader, repo_pk: int, num: int) -> DiscussionThread:
    """Return a discussion with its events, oldest first.

    Raises:
        DiscussionNotFound: as ``find_discussion``.
    """
    discussion = await find_discussion(db, repo_pk, num)
    events = await db.all(_EVENTS, discussion_pk=discussion.pk)
    return DiscussionThread(discussion, tuple(events), await versions_of(db, discussion))
