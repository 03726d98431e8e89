"""Many packs made into few: geometrically, all objects kept; or whole, only what is reached.

Nothing here takes a pack away: the new one is made beside the others, and who keeps the table of
packs decides when the old ones go.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hubstead.files import translate_disk_full
from hubstead.gitstore.pack_draft import Pack
from hubstead.gitstore.processes import end, spawn
from hubstead.gitstore.programs import GitFailed, GitProgram
from hubstead.gitstore.staging import FOLDER, install_pack_files

#: Each pack holds at least so many times the objects of the next smaller one.
FACTOR = 2
_OPTIONS = ("pack.windowMemory=64m", "pack.deltaCacheSize=64m", "core.bigFileThreshold=16m")


class PackSize(NamedTuple):
    """A pack and how many objects it holds."""

    name: str
    objects: int


def packs_to_repack(packs: Iterable[PackSize]) -> list[str]:
    """Return the packs that have to become one, so that sizes grow geometrically.

    As ``git repack --geometric=2``: large packs that are each twice the next smaller one, and
    twice what is folded, stay as they are.
    """
    ordered = sorted(packs, key=lambda pack: (pack.objects, pack.name))
    split = len(ordered)
    while split > 1 and ordered[split - 1].objects >= FACTOR * ordered[split - 2].objects:
        split -= 1
    if split == 1:
        return []
    total = sum(pack.objects for pack in ordered[:split])
    while split < len(ordered) and ordered[split].objects < FACTOR * total:
        total += ordered[split].objects
        split += 1
    return [pack.name for pack in ordered[:split]]


class Repacker:
    """Makes packs in a folder of its own beside the repository; runs in a thread."""

    def __init__(self, program: GitProgram, repo: Path) -> None:
        self._program = program
        self._repo = repo
        self._path = repo / FOLDER / f"tmp_{secrets.token_hex(12)}"

    def fold(self, names: Sequence[str]) -> Pack | None:
        """Make one durable pack of every object in some packs; None if there are none.

        Raises:
            GitFailed: with what git said.
            StorageFull: the disk is full; nothing is left.
        """
        asked = "".join(f"pack-{name}.pack\n" for name in names).encode()
        return self._made(self._repo, ["--stdin-packs"], asked)

    def whole(self, projection: Path) -> Pack | None:
        """Make one durable pack of all that a projection's refs reach, with a bitmap.

        Raises:
            As `fold`.
        """
        return self._made(projection, ["--all", "--write-bitmap-index"], b"")

    def _made(self, git_dir: Path, how: Sequence[str], asked: bytes) -> Pack | None:
        arguments = ["pack-objects", "--delta-base-offset", "--quiet", "--non-empty", *how]
        options = [part for option in _OPTIONS for part in ("-c", option)]
        try:
            with translate_disk_full():
                self._path.mkdir(parents=True)
            command = self._program.command(git_dir, [*options, *arguments, f"{self._path}/pack"])
            said = _run(command, self._program.environment, asked)
            name = said.strip()
            return install_pack_files(self._path, self._repo, name) if name else None
        finally:
            shutil.rmtree(self._path, ignore_errors=True)

    def leads_only_to(
        self, packs: Sequence[str], tips: Iterable[str], known: Iterable[str]
    ) -> bool:
        """Tell whether all that ``tips`` reach, and ``known`` do not, lies in some packs.

        ``known`` are commits behind which everything is known to lie there.
        """
        lines = [*tips, *(f"^{oid}" for oid in known)]
        walk = ["rev-list", "--objects", "--quiet", "--stdin"]
        try:
            with self._seeing(packs) as environment:
                asked = "".join(f"{line}\n" for line in lines).encode()
                _run(self._program.command(self._repo, walk), environment, asked)
        except GitFailed:
            return False
        return True

    def unreached(self, packs: Sequence[str], tips: Iterable[str]) -> dict[str, int]:
        """Return the objects of some packs that ``tips`` do not reach: ids and bytes there.

        A tip that is gone reaches nothing.

        Raises:
            GitFailed: with what git said.
        """
        asked = "".join(f"{tip}\n" for tip in tips).encode()
        walk = ["rev-list", "--objects", "--no-object-names", "--ignore-missing", "--stdin"]
        said = _run(self._program.command(self._repo, walk), self._program.environment, asked)
        reached = {bytes.fromhex(line) for line in said.split()}
        form = "--batch-check=%(objectname) %(objectsize:disk)"
        every = ["cat-file", "--batch-all-objects", "--unordered", "--buffer", form]
        with self._seeing(packs) as environment:
            said = _run(self._program.command(self._repo, every), environment, b"")
        rows = (line.split() for line in said.splitlines())
        return {oid: int(size) for oid, size in rows if bytes.fromhex(oid) not in reached}

    def rest(self, oids: Iterable[str]) -> Pack | None:
        """Make one durable pack of some objects, whatever they lead to; None if there are none.

        Raises:
            As `fold`.
        """
        return self._made(self._repo, [], "".join(f"{oid}\n" for oid in oids).encode())

    @contextlib.contextmanager
    def _seeing(self, packs: Sequence[str]) -> Iterator[dict[str, str]]:
        """Give an environment in which git finds the objects of some packs and no others."""
        objects = self._path / "objects"
        try:
            (objects / "pack").mkdir(parents=True)
            for name in packs:
                for suffix in (".pack", ".idx"):
                    file = f"pack-{name}{suffix}"
                    (objects / "pack" / file).symlink_to(self._repo / "objects/pack" / file)
            yield {**self._program.environment, "GIT_OBJECT_DIRECTORY": str(objects)}
        finally:
            shutil.rmtree(self._path, ignore_errors=True)

    def write_commit_graph(self, tips: Iterable[str]) -> None:
        """Write git's index of the commits that ``tips`` reach, in the place of an older one.

        Raises:
            GitFailed: with what git said.
        """
        asked = "".join(f"{tip}\n" for tip in tips).encode()
        walk = ["commit-graph", "write", "--stdin-commits", "--no-progress"]
        _run(self._program.command(self._repo, walk), self._program.environment, asked)


def _run(command: Sequence[str], environment: Mapping[str, str], asked: bytes) -> str:
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as messages:
        stdin.write(asked)
        stdin.seek(0)
        process = spawn(command, environment, stdin=stdin, stderr=messages)
        try:
            assert process.stdout is not None
            said = process.stdout.read()
            if process.wait():
                messages.seek(0)
                raise GitFailed(messages.read(1 << 16).decode("utf-8", "replace").strip())
            return said.decode()
        finally:
            end(process)
