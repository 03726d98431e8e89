"""The cards of pushed branches: refused if they are invalid, as a commit over the API is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hubstead import cards
from hubstead.commits.metadata import CARD, MAX_CARD_BYTES
from hubstead.commits.refs import RefKind, RefMove, RefName
from hubstead.errors import InvalidCard
from hubstead.gitstore import GitRepo, Staging
from hubstead.repos import Repo

_RULE = "-" * 58
#: What the public Hub prints before and after the findings; protocol/hub-api.md 3.12.
_HEAD = (_RULE, "Sorry, your push was rejected during YAML metadata verification:")
_TAIL = (
    _RULE,
    "Please find the documentation at:",
    "https://huggingface.co/docs/hub/model-cards#model-card-metadata",
    _RULE,
)


def check_pushed_cards(
    repo: Repo, git: GitRepo, staging: Staging, moves: Sequence[RefMove]
) -> None:
    """Refuse a push that brings a branch a README.md with invalid metadata.

    A card that the branch has already, or the default branch, is not checked: a branch whose card
    is older than the rule can still be pushed to. Tags are not either: they name what is past.

    Args:
        repo: The repository.
        git: Its objects before the push.
        staging: The pushed objects.
        moves: The updates of refs.

    Raises:
        InvalidCard: with every error; ``faults`` lists them.
    """
    branches = [move for move in moves if _may_bring_card(git, move)]
    tips = list(dict.fromkeys(move.new for move in branches if move.new))
    texts = staging.small_files(tips, CARD, MAX_CARD_BYTES)
    for move in branches:
        text = texts.get(move.new or "")
        if text is None or text in _present_cards(repo, git, move):
            continue
        result = cards.validate_card(text, repo.kind)
        if result.errors:
            raise InvalidCard(reason="; ".join(result.errors), faults=result.errors)


def refusal_lines(error: InvalidCard) -> list[str]:
    """Return the lines that tell the pusher why, as the public Hub prints them."""
    findings = cards.Validation(errors=error.faults)
    return [*_HEAD, *findings.lines, *_TAIL]


def _may_bring_card(git: GitRepo, move: RefMove) -> bool:
    """Tell whether the move is a branch's to a commit that is new to the repository."""
    is_branch = RefName.parse(move.ref).kind is not RefKind.TAG
    return is_branch and move.new is not None and not git.has(move.new)


def _present_cards(repo: Repo, git: GitRepo, move: RefMove) -> Iterator[bytes]:
    for commit in (move.old, repo.head):
        if commit is None or not git.has(commit):
            continue
        entry = git.entry(commit, CARD)
        if entry is not None and entry.type == "blob" and entry.size <= MAX_CARD_BYTES:
            yield git.blob(entry.oid)
