"""Adds events to discussions: comments, changes of status and title, commits."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from sqlalchemy import bindparam, update

from hubstead.db import Tx, indexed, insert_into
from hubstead.discussions.counts import add_to_count
from hubstead.discussions.discussion import DiscussionRow, EventRow, find_event
from hubstead.discussions.tables import discussion_events, discussions
from hubstead.ids import new_object_id, now_ms

_ADD = indexed(
    insert_into(
        discussion_events, "id", "discussion_pk", "type", "author_pk", "data", "body", "created_ms"
    )
)
_TOUCH = indexed(
    update(discussions)
    .values(
        active_ms=bindparam("at_ms"),
        comments=discussions.c.comments + bindparam("new_comments"),
    )
    .where(discussions.c.pk == bindparam("which_pk"))
)
_STATUS = indexed(
    update(discussions)
    .values(
        status=bindparam("new_status"),
        is_open=bindparam("now_open"),
        merge_commit=bindparam("merged_as"),
    )
    .where(discussions.c.pk == bindparam("which_pk"))
)


async def add_event(
    tx: Tx,
    discussion: DiscussionRow,
    author_pk: int | None,
    type_: str,
    data: Mapping[str, object] | None = None,
    *,
    body: str | None = None,
) -> EventRow:
    """Add an event to a discussion and return it; ``body`` is the text of a comment."""
    at_ms, event_id = now_ms(), new_object_id()
    await tx.run(
        _ADD,
        id=event_id,
        discussion_pk=discussion.pk,
        type=type_,
        author_pk=author_pk or None,
        data=msgspec.json.encode(data or {}).decode(),
        body=body,
        created_ms=at_ms,
    )
    await tx.run(_TOUCH, which_pk=discussion.pk, at_ms=at_ms, new_comments=int(type_ == "comment"))
    return await find_event(tx, discussion, event_id)


async def set_status(
    tx: Tx,
    repo_pk: int,
    discussion: DiscussionRow,
    author_pk: int | None,
    status: str,
    *,
    reason: str | None = None,
    merge_commit: str | None = None,
) -> EventRow:
    """Change the status of a discussion, its counts and its timeline; return the event."""
    is_open = int(status in ("draft", "open"))
    await tx.run(
        _STATUS,
        which_pk=discussion.pk,
        new_status=status,
        now_open=is_open,
        merged_as=merge_commit or discussion.merge_commit,
    )
    if is_open != discussion.is_open:
        for state, by in ((discussion.is_open, -1), (is_open, 1)):
            await add_to_count(tx, repo_pk, is_pull=discussion.is_pull, is_open=state, by=by)
    data = {"status": status} | ({"reason": reason} if reason else {})
    return await add_event(tx, discussion, author_pk, "status-change", data)
