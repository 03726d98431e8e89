"""Events about discussions, recorded with the change."""

from __future__ import annotations

from hubstead.db import Tx
from hubstead.discussions.discussion import DiscussionRow
from hubstead.outbox import record_event
from hubstead.repos import Repo, RepoEvent, event_facts, repo_subject


class DiscussionChanged(RepoEvent, frozen=True):
    """A discussion or pull request was created or changed."""

    num: int
    is_pull: bool
    action: str  # create, comment, edit, hide, title, status, merge, pin, lock, commit, delete
    actor: str


async def record_change(
    tx: Tx, repo: Repo, discussion: DiscussionRow, action: str, actor: str
) -> None:
    """Record a change in its transaction."""
    change = DiscussionChanged(
        **event_facts(repo),
        num=discussion.num,
        is_pull=bool(discussion.is_pull),
        action=action,
        actor=actor,
    )
    await record_event(tx, repo_subject(repo.pk), change)
