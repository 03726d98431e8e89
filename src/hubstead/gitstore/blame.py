"""Who wrote which lines of a file: groups of lines by the commit that last changed them."""

from __future__ import annotations

import re
from typing import NamedTuple

from hubstead.gitstore.history import Commit
from hubstead.gitstore.repo import GitRepo

_GROUP = re.compile(rb"([0-9a-f]{40}) (\d+) (\d+) (\d+)")
_OUTPUT_BYTES = 32 << 20


class BlameGroup(NamedTuple):
    """Neighbouring lines of one commit; ``start`` counts from 1.

    ``before`` is the commit in which the file was before that change, None where it began.
    """

    start: int
    lines: int
    commit: Commit
    before: str | None


def blame_file(repo: GitRepo, commit: str, path: str) -> list[BlameGroup]:
    """Return the groups of a file's lines, in order, as ``git blame`` has them.

    It runs a git process whose work grows with the history and with the lines: callers bound the
    file. It blocks: run it in ``Lane.HISTORY``.

    Raises:
        GitFailed: the file does not exist in the commit.
    """
    groups: list[tuple[int, int, str]] = []
    before: dict[str, str] = {}
    oid = ""
    output = b"".join(repo.blame_text(commit, path, max_bytes=_OUTPUT_BYTES))
    for line in output.split(b"\n"):
        if match := _GROUP.fullmatch(line):
            oid = match[1].decode()
            groups.append((int(match[3]), int(match[4]), oid))
        elif line.startswith(b"previous "):
            before[oid] = line[9:49].decode()
    commits = {oid: repo.commit(oid) for oid in {oid for _, _, oid in groups}}
    return _joined(
        [
            BlameGroup(start, lines, commits[oid], before.get(oid))
            for start, lines, oid in sorted(groups)
        ]
    )


def _joined(groups: list[BlameGroup]) -> list[BlameGroup]:
    """Return the groups with neighbours of one commit as one."""
    joined: list[BlameGroup] = []
    for group in groups:
        if joined and joined[-1].commit.oid == group.commit.oid:
            joined[-1] = joined[-1]._replace(lines=joined[-1].lines + group.lines)
        else:
            joined.append(group)
    return joined
