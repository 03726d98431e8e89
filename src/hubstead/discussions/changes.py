"""Changes of a discussion itself: title, status, pin, lock, deletion."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, update

from hubstead.accounts import Actor
from hubstead.db import Database, Tx, indexed
from hubstead.discussions.counts import add_to_count
from hubstead.discussions.creation import require_enabled
from hubstead.discussions.discussion import DiscussionRow, EventRow, find_discussion
from hubstead.discussions.errors import DiscussionLocked, StatusConflict
from hubstead.discussions.events import record_change
from hubstead.discussions.tables import discussion_events, discussions
from hubstead.discussions.text_rules import check_comment, check_title
from hubstead.discussions.timeline import add_event, set_status
from hubstead.errors import InvalidInput
from hubstead.repos import Repo, Right, allows, reopen, require_author_or_writer

_TITLE = indexed(
    update(discussions)
    .values(title=bindparam("new_title"))
    .where(discussions.c.pk == bindparam("which_pk"))
)
_PIN = indexed(
    update(discussions)
    .values(pinned=bindparam("flag"))
    .where(discussions.c.pk == bindparam("which_pk"))
)
_LOCK = indexed(
    update(discussions)
    .values(locked=bindparam("flag"))
    .where(discussions.c.pk == bindparam("which_pk"))
)
_MARK_DELETED = indexed(
    update(discussions)
    .values(title="", status="deleted", is_open=0, author_pk=None)
    .where(discussions.c.pk == bindparam("which_pk"))
)
_DELETE_EVENTS = indexed(
    delete(discussion_events).where(discussion_events.c.discussion_pk == bindparam("which_pk"))
)


async def change_title(db: Database, actor: Actor, repo: Repo, num: int, title: str) -> EventRow:
    """Rename a discussion and return the event.

    Raises:
        InvalidInput: the title is too short or too long.
        DiscussionNotFound: there is no such discussion.
        Forbidden: the caller neither opened it nor may write the repository.
    """
    return await db.write(_change_title, actor, repo, num, check_title(title))


async def _change_title(tx: Tx, actor: Actor, repo: Repo, num: int, title: str) -> EventRow:
    again, discussion = await own_discussion(tx, actor, repo, num)
    await tx.run(_TITLE, which_pk=discussion.pk, new_title=title)
    names = {"from": discussion.title, "to": title}
    event = await add_event(tx, discussion, actor.pk, "title-change", names)
    await record_change(tx, again, discussion, "title", actor.name)
    return event


async def change_status(
    db: Database, actor: Actor, repo: Repo, num: int, status: str, *, comment: str | None = None
) -> EventRow:
    """Open or close a discussion, or publish a draft, and return the event.

    Args:
        db: The database.
        actor: The caller.
        repo: The repository.
        num: The number of the discussion.
        status: ``open`` or ``closed``.
        comment: The reason, which becomes a comment.

    Raises:
        InvalidInput: an unknown status, or a comment that is too long.
        DiscussionNotFound: there is no such discussion.
        StatusConflict: it has this status already, or was merged.
        Forbidden: the caller neither opened it nor may write the repository.
    """
    if status not in ("open", "closed"):
        raise InvalidInput(reason='"status" must be one of [open, closed]')
    reason = check_comment(comment, "comment") if comment and comment.strip() else None
    return await db.write(_change_status, actor, repo, num, status=status, reason=reason)


async def _change_status(
    tx: Tx, actor: Actor, repo: Repo, num: int, *, status: str, reason: str | None
) -> EventRow:
    again, discussion = await own_discussion(tx, actor, repo, num)
    if discussion.status == "merged":
        raise StatusConflict(reason="A merged pull request can be neither closed nor opened again")
    if discussion.status == status:
        raise StatusConflict(reason=f"#{num} is {status} already")
    event = await set_status(tx, again.pk, discussion, actor.pk, status, reason=reason)
    if reason:
        await add_event(tx, discussion, actor.pk, "comment", body=reason)
    await record_change(tx, again, discussion, "status", actor.name)
    return event


async def set_pinned(
    db: Database, actor: Actor, repo: Repo, num: int, *, pinned: bool
) -> DiscussionRow:
    """Pin a discussion, or release it; a repeated call changes nothing."""
    return await db.write(_set_flag, actor, repo, num, name="pinned", flag=pinned)


async def set_locked(
    db: Database, actor: Actor, repo: Repo, num: int, *, locked: bool
) -> DiscussionRow:
    """Lock a discussion for those who may not write, or release it."""
    return await db.write(_set_flag, actor, repo, num, name="locked", flag=locked)


async def _set_flag(
    tx: Tx, actor: Actor, repo: Repo, num: int, *, name: str, flag: bool
) -> DiscussionRow:
    again = await reopen(tx, actor, repo, Right.WRITE)
    await require_enabled(tx, again)
    discussion = await find_discussion(tx, again.pk, num)
    if bool(getattr(discussion, name)) == flag:
        return discussion
    is_pin = name == "pinned"
    await tx.run(_PIN if is_pin else _LOCK, which_pk=discussion.pk, flag=int(flag))
    kind = "pinning-change" if is_pin else "locking-change"
    await add_event(tx, discussion, actor.pk, kind, {name: flag})
    await record_change(tx, again, discussion, "pin" if is_pin else "lock", actor.name)
    return await find_discussion(tx, again.pk, num)


async def delete_discussion(db: Database, actor: Actor, repo: Repo, num: int) -> None:
    """Delete a discussion with its texts; its number is never used again.

    Raises:
        DiscussionNotFound: there is no such discussion.
        StatusConflict: it is an open pull request, which has to be closed first.
        HubError: those of ``open_repo`` with the right ADMIN.
    """
    await db.write(_delete, actor, repo, num)


async def _delete(tx: Tx, actor: Actor, repo: Repo, num: int) -> None:
    again = await reopen(tx, actor, repo, Right.ADMIN)
    discussion = await find_discussion(tx, again.pk, num)
    if discussion.is_pull and discussion.is_open:
        raise StatusConflict(reason="Close the pull request before you delete it")
    await tx.run(_DELETE_EVENTS, which_pk=discussion.pk)
    await tx.run(_MARK_DELETED, which_pk=discussion.pk)
    await add_to_count(tx, again.pk, is_pull=discussion.is_pull, is_open=discussion.is_open, by=-1)
    await record_change(tx, again, discussion, "delete", actor.name)


async def own_discussion(tx: Tx, actor: Actor, repo: Repo, num: int) -> tuple[Repo, DiscussionRow]:
    """Return repository and discussion if the caller opened it or may write the repository.

    Raises:
        DiscussionNotFound: there is no such discussion.
        DiscussionLocked: it is locked, and the caller may not write the repository.
        HubError: those of ``open_repo`` with the right PROPOSE.
    """
    again = await reopen(tx, actor, repo, Right.PROPOSE)
    await require_enabled(tx, again)
    discussion = await find_discussion(tx, again.pk, num)
    require_author_or_writer(again, actor, discussion.author_pk)
    if discussion.locked and not allows(again, actor, Right.WRITE):
        raise DiscussionLocked()
    return again, discussion
