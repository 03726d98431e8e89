"""Pull requests: opened with a ref of their own, which their author or a writer moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hubstead.accounts import Actor
from hubstead.commits import (
    PULLS,
    Changeset,
    CommitResult,
    CommitSubject,
    Message,
    RefKind,
    RefMove,
    RefName,
    Storage,
    WritePlan,
    commit,
    open_pull_ref,
)
from hubstead.db import Tx
from hubstead.discussions.creation import Draft, insert_discussion, next_number, require_enabled
from hubstead.discussions.discussion import DiscussionRow, find_discussion
from hubstead.discussions.errors import DiscussionNotFound, StatusConflict
from hubstead.discussions.events import record_change
from hubstead.discussions.text_rules import MAX_COMMENT_CHARS, TITLE_CHARS
from hubstead.discussions.timeline import add_event
from hubstead.errors import Forbidden, RevisionNotFound
from hubstead.repos import Repo, Right, require_author_or_writer

_MAX_DIGITS = 9


@dataclass(frozen=True, slots=True)
class _Opener:
    """Opens a pull request under the next number; a ``RefOpener``."""

    draft: Draft
    base: str  # refs/heads/main
    status: str

    async def __call__(self, tx: Tx, actor: Actor, repo: Repo, commit: CommitSubject | None) -> str:
        await require_enabled(tx, repo)
        discussion = await insert_discussion(
            tx,
            actor,
            repo,
            self.draft,
            await next_number(tx, repo.pk),
            base=self.base,
            status=self.status,
        )
        if commit is not None:
            await _add_commit(tx, discussion, actor, commit)
        return discussion.ref


async def open_pull_request(
    storage: Storage, actor: Actor, repo: Repo, title: str, description: str
) -> DiscussionRow:
    """Open a draft of a pull request, whose ref is at the tip of the default branch.

    Raises:
        InvalidInput: a text is too short or too long.
        RevisionNotFound: the default branch has no commit.
        DiscussionsDisabled: the repository has none.
        HubError: those of ``open_repo`` with the right PROPOSE.
    """
    base = RefName.branch(repo.default_branch).full
    opener = _Opener(Draft.checked(title, description), base, "draft")
    ref = await storage.db.write(open_pull_ref, actor, repo, WritePlan(()), opener)
    return await find_discussion(storage.db, repo.pk, number_of(ref))


async def commit_to_new_request(
    storage: Storage,
    actor: Actor,
    repo: Repo,
    *,
    base: RefName,
    changeset: Changeset,
    message: Message,
    parent: str | None = None,
) -> CommitResult:
    """Commit ``changeset`` on top of a branch as a new pull request; ``ref`` names its head.

    Title and body of the commit are those of the request. The branch does not move.

    Raises:
        RevisionNotFound: ``base`` is no branch, or does not exist.
        HubError: those of ``commit`` and of ``open_repo`` with the right PROPOSE.
    """
    if base.kind is not RefKind.BRANCH:
        raise RevisionNotFound(revision=base.revision, repo=repo.full_name)
    title = message.text.partition("\n")[0][: TITLE_CHARS[1]]
    draft = Draft(title, message.description[:MAX_COMMENT_CHARS])
    return await commit(
        storage,
        actor,
        repo,
        target=base,
        right=Right.PROPOSE,
        changeset=changeset,
        message=message,
        parent=parent,
        opener=_Opener(draft, base.full, "open"),
    )


class PullRequestRefs:
    """The rules of the refs of pull requests: ``commits`` asks before it moves one."""

    async def check_move(
        self, tx: Tx, actor: Actor, repo: Repo, move: RefMove, subjects: Sequence[CommitSubject]
    ) -> None:
        """Record the new commits of a pull request; see ``PullRefs``.

        Raises:
            Forbidden: the ref is no pull request's, or the caller neither opened it nor may write.
            StatusConflict: it is closed or merged; or, for a deletion of the ref, still open.
        """
        try:
            discussion = await find_discussion(tx, repo.pk, number_of(move.ref))
        except DiscussionNotFound:
            discussion = None
        if discussion is None or not discussion.is_pull:
            raise Forbidden(reason=f"{move.ref} is no pull request: open one first")
        require_author_or_writer(repo, actor, discussion.author_pk)
        if (move.new is None) == bool(discussion.is_open):
            state = "still open" if move.new is None else discussion.status
            raise StatusConflict(reason=f"Pull request #{discussion.num} is {state}")
        if move.old is None:
            raise StatusConflict(reason=f"The ref of pull request #{discussion.num} was deleted")
        for subject in subjects:
            await _add_commit(tx, discussion, actor, subject)
        await record_change(tx, repo, discussion, "commit", actor.name)


async def _add_commit(
    tx: Tx, discussion: DiscussionRow, actor: Actor, commit: CommitSubject
) -> None:
    facts = {"oid": commit.oid, "subject": commit.subject}
    await add_event(tx, discussion, actor.pk, "commit", facts)


def number_of(ref: str) -> int:
    """Return the number in ``refs/pr/7``.

    Raises:
        DiscussionNotFound: there is none, or it is written otherwise, as ``07``.
    """
    digits = ref.removeprefix(PULLS)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
        raise DiscussionNotFound(reason=ref[:80])
    if digits != str(int(digits)):
        raise DiscussionNotFound(reason=ref[:80])
    return int(digits)
