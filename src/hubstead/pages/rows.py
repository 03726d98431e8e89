"""The first rows of a dataset, from a table in git that its layout puts first."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from hubstead.errors import EntryNotFound
from hubstead.gitstore import Entry, GitRepo
from hubstead.pages.file_views import Table, ending_of, table_of
from hubstead.pages.repo_page import line_of, text_of

#: Folders that are looked at, and entries of each.
_FOLDERS = ("", "data")
_ENTRIES = 200
_TABLES = frozenset(("csv", "tsv", "jsonl"))
_TRAIN = re.compile(r"(?:^|[^a-z])train(?:[^a-z]|$)", re.IGNORECASE)
#: Rows of the page, and the largest table that is read.
SHOWN_ROWS = 10
MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class FirstRows:
    """The first rows of the file at ``path``."""

    path: str
    table: Table


def find_rows(git: GitRepo, commit: str) -> FirstRows | None:
    """Return the first rows of a commit's table: of the training split, else of the first one.

    Tables are looked for in the root and in ``data``. None if there is none that is in git and at
    most ``MAX_BYTES`` long.
    """
    for entry in sorted(_tables(git, commit), key=lambda entry: not _TRAIN.search(entry.name)):
        line = line_of(git, entry)
        text = text_of(git, line, MAX_BYTES)
        table = table_of(text, entry.name) if text is not None else None
        if table is not None:
            rows = table.rows[:SHOWN_ROWS]
            return FirstRows(entry.path, replace(table, rows=rows, more=True))
        if line.size > MAX_BYTES:
            return None  # the default split is too large: another one would mislead
    return None


def _tables(git: GitRepo, commit: str) -> list[Entry]:
    entries: list[Entry] = []
    for folder in _FOLDERS:
        try:
            entries += git.tree_page(git.tree_of(commit), folder, limit=_ENTRIES)
        except EntryNotFound:
            continue
    return [one for one in entries if one.type == "blob" and ending_of(one.name) in _TABLES]
