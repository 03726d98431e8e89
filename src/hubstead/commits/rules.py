"""Rules that every write obeys, whichever door it came through."""

from __future__ import annotations

from collections.abc import Iterable

from hubstead import cards
from hubstead.commits.deriving import CARD, MAX_CARD_BYTES
from hubstead.errors import Forbidden, InvalidCard
from hubstead.gitstore import Edit, GitRepo, PackDraft, PutFile
from hubstead.ids import Kind
from hubstead.repos import Repo


def check_card(
    kind: Kind, git: GitRepo, draft: PackDraft, edits: Iterable[tuple[str, Edit]]
) -> None:
    """Refuse a change whose new README.md has metadata in error.

    Raises:
        InvalidCard: with every error; ``facts["errors"]`` lists them.
    """
    for path, edit in edits:
        if path == CARD and isinstance(edit, PutFile):
            text = draft.get(edit.oid)[1] if draft.contains(edit.oid) else git.blob(edit.oid)
            if len(text) > MAX_CARD_BYTES:
                continue
            found = cards.validate(text, kind)
            if found.errors:
                raise InvalidCard(reason="; ".join(found.errors), errors=list(found.errors))


def check_branch_may_go(opened: Repo, branch: str) -> None:
    """Refuse to delete the branch that the repository shows.

    Raises:
        Forbidden: in the words that clients' own tests look for.
    """
    if branch == opened.default_branch:
        raise Forbidden(reason=f"Cannot delete refs/heads/{branch}: it is the default branch")
