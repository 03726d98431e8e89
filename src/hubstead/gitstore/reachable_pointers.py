"""Lists the LFS objects that the history of some commits references.

Git walks every commit and tree once and lists only small files, and their content is streamed, so
the memory of this process does not grow with the history.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from hubstead.gitstore.pointer import MAX_BYTES, Pointer, parse
from hubstead.gitstore.processes import end, spawn
from hubstead.gitstore.programs import GitFailed, GitProgram

#: Lists only files that may be pointers (the filter's limit is exclusive), without paths.
_WALK = (
    "rev-list",
    "--objects",
    "--no-object-names",
    "--filter-provided-objects",
    f"--filter=combine:object:type=blob+blob:limit={MAX_BYTES + 1}",
    "--stdin",
)
_MAX_MESSAGE_BYTES = 1 << 16


def reachable_pointers(
    git_dir: Path, tips: Iterable[str], *, program: GitProgram | None = None
) -> Generator[Pointer]:
    """Yield the LFS pointers in every tree of every commit that ``tips`` reach.

    It runs processes: iterate in a thread, and exhaust or close the generator.

    Args:
        git_dir: The repository.
        tips: Ids of existing commits or tag objects.
        program: The git program.

    Yields:
        Every pointer file once; two different files may reference one object.

    Raises:
        GitFailed: an object is missing or damaged; the pointers so far are incomplete.
    """
    git = program or GitProgram()
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as messages:
        stdin.writelines(f"{tip}\n".encode() for tip in tips)
        stdin.seek(0)
        walk = spawn(git.command(git_dir, _WALK), git.environment, stdin=stdin, stderr=messages)
        assert walk.stdout is not None
        reader = spawn(
            git.command(git_dir, ("cat-file", "--batch", "--buffer")),
            git.environment,
            stdin=walk.stdout,  # type: ignore[arg-type]
            stderr=messages,
        )
        try:
            walk.stdout.close()
            assert reader.stdout is not None
            with open(reader.stdout.fileno(), "rb", buffering=1 << 20, closefd=False) as output:
                yield from _pointers(output)
            if walk.wait() or reader.wait():
                raise GitFailed(_last_message(messages))
        finally:
            end(walk)
            end(reader)


def _pointers(output: BinaryIO) -> Iterator[Pointer]:
    while head := output.readline():
        oid, _, rest = head.decode().strip().partition(" ")
        kind, _, size = rest.partition(" ")
        if kind != "blob":
            raise GitFailed(f"the object {oid} is {kind}")
        content = output.read(int(size))
        output.read(1)
        pointer = parse(content)
        if pointer is not None:
            yield pointer


def _last_message(messages: BinaryIO) -> str:
    messages.seek(0)
    text = messages.read(_MAX_MESSAGE_BYTES).decode("utf-8", "replace").strip()
    return text.splitlines()[-1] if text else "git ended with a fault"
