"""Metadata derived from the tip of the default branch: card, tags, task."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from hubstead import cards
from hubstead.errors import InvalidCard
from hubstead.gitstore import Entry, GitRepo
from hubstead.ids import EMPTY_TREE, Kind
from hubstead.repos import RepoMetadata

CARD = "README.md"
CONFIG = "config.json"
#: A larger config.json is ignored: it is not the configuration of a model.
MAX_CONFIG_BYTES = 1 << 20
MAX_CARD_BYTES = 4 << 20

#: Reads a blob by its id.
Read = Callable[[str], bytes]


def same_sources(git: GitRepo, one: str | None, other: str) -> bool:
    """Tell whether two trees yield the same metadata, without a read of their files."""
    if one is None:
        return False
    return _sources(git, one) == _sources(git, other)


def _sources(git: GitRepo, tree: str) -> tuple[frozenset[str], str | None, str | None]:
    entries = {entry.name: entry for entry in _root(git, tree)}
    card, config = entries.get(CARD), entries.get(CONFIG)
    return frozenset(entries), card.oid if card else None, config.oid if config else None


def _root(git: GitRepo, tree: str) -> list[Entry]:
    if tree == EMPTY_TREE:
        return []
    return git.tree_page(tree, "", recursive=False, after=None, limit=100_000)


def derive_metadata(kind: Kind, git: GitRepo, tree: str) -> RepoMetadata:
    """Derive the metadata of a repository from the tree of its default branch.

    Only the root folder is read, so the cost does not grow with the repository. A card that
    cannot be parsed counts as absent: only repositories older than the rule have one.
    """
    files = {entry.name: entry for entry in _root(git, tree) if entry.type == "blob"}
    card = _card(git, files.get(CARD))
    config = _config(git, files.get(CONFIG))
    facts = cards.derive_facts(kind, card, config, files)
    return RepoMetadata(
        card=None if card is None or card.data is None else _json(card.data),
        config=_json(facts.config) if facts.config else None,
        pipeline_tag=facts.pipeline_tag,
        library_name=facts.library_name,
        sdk=facts.sdk,
        tags=tuple(facts.tags),
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _card(git: GitRepo, entry: Entry | None) -> cards.Card | None:
    if entry is None or git.blob_size(entry.oid) > MAX_CARD_BYTES:
        return None
    try:
        return cards.parse_card(git.blob(entry.oid))
    except InvalidCard:
        return None


def _config(git: GitRepo, entry: Entry | None) -> dict[str, object] | None:
    if entry is None or git.blob_size(entry.oid) > MAX_CONFIG_BYTES:
        return None
    return cards.read_config(git.blob(entry.oid))
