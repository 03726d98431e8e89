"""Which LFS objects the history behind some commits names, however long that is.

Git walks every commit and tree once and gives out only small files; their content streams by,
so the memory taken here does not grow with the history.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from hubstead.gitstore.pointer import MAX_BYTES, Pointer, parse
from hubstead.gitstore.processes import end, spawn
from hubstead.gitstore.programs import GitFailed, GitProgram

#: Only files that may be pointers (the limit of the filter is exclusive), without their paths.
_WALK = (
    "rev-list",
    "--objects",
    "--no-object-names",
    "--filter-provided-objects",
    f"--filter=combine:object:type=blob+blob:limit={MAX_BYTES + 1}",
    "--stdin",
)
_SAID_BYTES = 1 << 16


def reachable_pointers(
    git_dir: Path, tips: Iterable[str], *, program: GitProgram | None = None
) -> Generator[Pointer]:
    """Yield the LFS pointers in every tree of every commit that ``tips`` reach.

    Runs programs: use it in a thread, to its end or close it.

    Args:
        git_dir: The repository.
        tips: Ids of commits or tag objects, all of which are there.
        program: Which git to run.

    Yields:
        Each pointer file once; two that differ may name one object.

    Raises:
        GitFailed: an object is missing or damaged; what came before is not all there is.
    """
    git = program or GitProgram()
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as messages:
        asked.writelines(f"{tip}\n".encode() for tip in tips)
        asked.seek(0)
        walk = spawn(git.command(git_dir, _WALK), git.environment, stdin=asked, stderr=messages)
        assert walk.stdout is not None
        read = spawn(
            git.command(git_dir, ("cat-file", "--batch", "--buffer")),
            git.environment,
            stdin=walk.stdout,  # type: ignore[arg-type]
            stderr=messages,
        )
        try:
            walk.stdout.close()
            assert read.stdout is not None
            with open(read.stdout.fileno(), "rb", buffering=1 << 20, closefd=False) as output:
                yield from _pointers(output)
            if walk.wait() or read.wait():
                raise GitFailed(_said(messages))
        finally:
            end(walk)
            end(read)


def _pointers(output: BinaryIO) -> Iterator[Pointer]:
    while head := output.readline():
        oid, _, rest = head.decode().strip().partition(" ")
        kind, _, size = rest.partition(" ")
        if kind != "blob":
            raise GitFailed(f"the object {oid} is {kind}")
        content = output.read(int(size))
        output.read(1)
        found = parse(content)
        if found is not None:
            yield found


def _said(messages: BinaryIO) -> str:
    messages.seek(0)
    text = messages.read(_SAID_BYTES).decode("utf-8", "replace").strip()
    return text.splitlines()[-1] if text else "git ended with a fault"
