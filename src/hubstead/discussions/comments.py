"""Comments: written by whoever may propose, edited and hidden by their author or a writer."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, delete, update

from hubstead.accounts import Actor
from hubstead.db import Database, Tx, indexed, insert_into
from hubstead.discussions.creation import require_enabled
from hubstead.discussions.discussion import EventRow, find_discussion, find_event
from hubstead.discussions.errors import DiscussionLocked, DiscussionNotFound
from hubstead.discussions.events import record_change
from hubstead.discussions.tables import comment_versions, discussion_events
from hubstead.discussions.text_rules import check_comment
from hubstead.discussions.timeline import add_event
from hubstead.errors import Forbidden
from hubstead.ids import now_ms
from hubstead.repos import Repo, Right, allows, reopen, require_author_or_writer


class CommentPlace(NamedTuple):
    """Where a comment is: the number of its discussion, and its id in either case."""

    num: int
    comment: str


_KEEP_VERSION = indexed(
    insert_into(comment_versions, "event_pk", "seq", "body", "author_pk", "written_ms")
)
_FORGET_VERSIONS = indexed(
    delete(comment_versions).where(comment_versions.c.event_pk == bindparam("event_pk"))
)
_EDIT = indexed(
    update(discussion_events)
    .values(
        body=bindparam("new_body"),
        edits=discussion_events.c.edits + 1,
        edited_ms=bindparam("at_ms"),
        editor_pk=bindparam("by_pk"),
    )
    .where(discussion_events.c.pk == bindparam("which_pk"))
)
_HIDE = indexed(
    update(discussion_events)
    .values(body=None, hidden=1, edited_ms=bindparam("at_ms"), editor_pk=bindparam("by_pk"))
    .where(discussion_events.c.pk == bindparam("which_pk"))
)


async def add_comment(db: Database, actor: Actor, repo: Repo, num: int, text: str) -> EventRow:
    """Comment on a discussion and return the event.

    Raises:
        InvalidInput: the text is empty or too long.
        DiscussionNotFound: there is no such discussion.
        DiscussionLocked: it is locked, and the caller may not write the repository.
        HubError: those of ``open_repo`` with the right PROPOSE.
    """
    return await db.write(_add, actor, repo, num, check_comment(text, "comment"))


async def _add(tx: Tx, actor: Actor, repo: Repo, num: int, text: str) -> EventRow:
    again = await reopen(tx, actor, repo, Right.PROPOSE)
    await require_enabled(tx, again)
    discussion = await find_discussion(tx, again.pk, num)
    if discussion.locked and not allows(again, actor, Right.WRITE):
        raise DiscussionLocked()
    event = await add_event(tx, discussion, actor.pk, "comment", body=text)
    await record_change(tx, again, discussion, "comment", actor.name)
    return event


async def edit_comment(
    db: Database, actor: Actor, repo: Repo, place: CommentPlace, text: str
) -> EventRow:
    """Replace the text of a comment; the old one stays in its history.

    Raises:
        InvalidInput: the text is empty or too long.
        DiscussionNotFound: there is no such comment.
        Forbidden: the caller neither wrote it nor may write the repository, or it is hidden.
    """
    return await db.write(_edit, actor, repo, place, check_comment(text, "content"))


async def _edit(tx: Tx, actor: Actor, repo: Repo, place: CommentPlace, text: str) -> EventRow:
    again, event = await _own_comment(tx, actor, repo, place)
    if event.hidden or event.body is None:
        raise Forbidden(reason="A hidden comment cannot be edited")
    discussion = await find_discussion(tx, again.pk, place.num)
    if discussion.locked and not allows(again, actor, Right.WRITE):
        raise DiscussionLocked()
    await tx.run(
        _KEEP_VERSION,
        event_pk=event.pk,
        seq=event.edits,
        body=event.body,
        author_pk=event.author_pk,
        written_ms=event.edited_ms or event.created_ms,
    )
    await tx.run(_EDIT, which_pk=event.pk, new_body=text, at_ms=now_ms(), by_pk=actor.pk)
    await record_change(tx, again, discussion, "edit", actor.name)
    return await find_event(tx, discussion, place.comment)


async def hide_comment(db: Database, actor: Actor, repo: Repo, place: CommentPlace) -> EventRow:
    """Delete the text of a comment and all its versions; nobody can read them again.

    Raises:
        DiscussionNotFound: there is no such comment.
        Forbidden: the caller neither wrote it nor may write the repository.
    """
    return await db.write(_hide, actor, repo, place)


async def _hide(tx: Tx, actor: Actor, repo: Repo, place: CommentPlace) -> EventRow:
    again, event = await _own_comment(tx, actor, repo, place)
    discussion = await find_discussion(tx, again.pk, place.num)
    if not event.hidden:
        await tx.run(_FORGET_VERSIONS, event_pk=event.pk)
        await tx.run(_HIDE, which_pk=event.pk, at_ms=now_ms(), by_pk=actor.pk)
        await record_change(tx, again, discussion, "hide", actor.name)
    return await find_event(tx, discussion, place.comment)


async def _own_comment(
    tx: Tx, actor: Actor, repo: Repo, place: CommentPlace
) -> tuple[Repo, EventRow]:
    again = await reopen(tx, actor, repo, Right.PROPOSE)
    await require_enabled(tx, again)
    discussion = await find_discussion(tx, again.pk, place.num)
    event = await find_event(tx, discussion, place.comment)
    if event.type != "comment":
        raise DiscussionNotFound(reason=place.comment[:40])
    require_author_or_writer(again, actor, event.author_pk)
    return again, event
