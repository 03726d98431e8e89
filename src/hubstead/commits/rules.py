"""Rules that every write obeys, over git or an API."""

from __future__ import annotations

from collections.abc import Iterable

from hubstead import cards
from hubstead.accounts import Actor
from hubstead.commits.metadata import CARD, MAX_CARD_BYTES
from hubstead.commits.refs import CONVERTS, HEADS, TAGS, RefKind, RefName
from hubstead.commits.revisions import commit_of_short_sha
from hubstead.errors import Forbidden, InvalidCard, InvalidName
from hubstead.gitstore import Edit, GitRepo, PackDraft, PutFile
from hubstead.ids import Kind, check_branch_name
from hubstead.repos import Repo, Right, require_right
from hubstead.settings import LfsSettings

#: The reason for which files that ``is_padded_pointer`` are refused.
PADDED_POINTER = (
    "git-lfs replaces a file that begins so in a checkout, but neither uploads nor fetches its "
    "object because it is longer than 1023 bytes: shorten it to the pointer"
)


def check_card(
    kind: Kind, git: GitRepo, draft: PackDraft, edits: Iterable[tuple[str, Edit]]
) -> None:
    """Refuse a change whose new README.md has invalid metadata.

    Raises:
        InvalidCard: with every error; ``faults`` lists them.
    """
    for path, edit in edits:
        if path == CARD and isinstance(edit, PutFile):
            text = draft.get(edit.oid)[1] if draft.contains(edit.oid) else git.blob(edit.oid)
            if len(text) > MAX_CARD_BYTES:
                continue
            result = cards.validate_card(text, kind)
            if result.errors:
                raise InvalidCard(reason="; ".join(result.errors), faults=tuple(result.errors))


def check_new_ref(ref: RefName) -> None:
    """Refuse a name that no new branch, tag or conversion may have.

    Raises:
        InvalidName: names the rule; tests of clients match the text.
    """
    if ref.kind is RefKind.PULL:
        raise InvalidName(name=ref.full, reason=f"Invalid reference for a branch: {ref.full}")
    check_branch_name(ref.short)


def check_branch_may_go(repo: Repo, branch: str) -> None:
    """Refuse to delete the default branch.

    Raises:
        Forbidden: the branch is the default branch; tests of clients match the text.
    """
    if branch == repo.default_branch:
        raise Forbidden(reason=f"Cannot delete {HEADS}{branch}: it is the default branch")


def check_takes_no_commit(
    git: GitRepo, ref: RefName, commit: str, *, old: str | None = None
) -> None:
    """Refuse a ref whose name is a short sha: the sha must mean its commit for ever.

    A branch or tag wins over a short sha. So no new branch may have a name that abbreviates a
    commit, even its own, because branches move; a tag may have the short sha of its own commit.

    Args:
        git: The repository's objects as they were before the change.
        ref: The ref.
        commit: The new target.
        old: The present target; a ref older than the commit may move under its name.

    Raises:
        InvalidName: the name is a short sha of a commit.
    """
    if ref.kind not in (RefKind.BRANCH, RefKind.TAG):
        return
    name, is_tag = ref.short, ref.kind is RefKind.TAG
    taken = commit_of_short_sha(git, name)
    if taken is None or (is_tag and taken == commit):
        return
    if old is None or (is_tag and old == taken):
        raise InvalidName(
            name=name, reason=f"Invalid reference for a branch: {name} abbreviates commit {taken}"
        )


def check_pushed_ref(
    repo: Repo, actor: Actor, ref: RefName, *, created: bool, deleted: bool
) -> None:
    """Refuse a push to a ref other than a branch, a tag, a conversion or a pull request.

    Which pull request the caller may move, the transaction decides that moves it. No push creates
    the ref of one: whoever opens it does.

    Raises:
        Forbidden: the ref is of another kind or of no pull request, the push deletes the default
            branch, or the caller may not write and the ref is no pull request's.
        InvalidName: the name breaks a rule.
    """
    if ref.kind is RefKind.PULL:
        if created:
            raise Forbidden(reason=f"{ref.full} is no pull request: open one first")
        return
    require_right(repo, actor, Right.WRITE)
    if ref.kind is RefKind.OTHER:
        raise Forbidden(reason=f"only {HEADS}, {TAGS} and {CONVERTS} can be pushed to")
    if deleted and ref.kind is RefKind.BRANCH:
        check_branch_may_go(repo, ref.short)
    elif not deleted:
        check_branch_name(ref.short)


def is_lfs_size(size: int, settings: LfsSettings) -> bool:
    """Tell whether a file of ``size`` bytes belongs into LFS (setting ``lfs_threshold_bytes``)."""
    return size >= settings.threshold_bytes
