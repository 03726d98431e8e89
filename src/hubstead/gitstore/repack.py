"""Repacks: geometrically, with all objects; or completely, with the reachable objects only.

This module removes no pack: it adds the new pack beside the others, and the owner of the table of
packs decides when the old ones are removed.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hubstead.files import translate_disk_errors
from hubstead.gitstore.oid_set import OidSet
from hubstead.gitstore.pack_draft import Pack
from hubstead.gitstore.processes import end, spawn
from hubstead.gitstore.programs import GitFailed, GitProgram
from hubstead.gitstore.staging import FOLDER, install_pack_files

#: Every pack has at least so many times the objects of the next smaller one.
FACTOR = 2
_OPTIONS = ("pack.windowMemory=64m", "pack.deltaCacheSize=64m", "core.bigFileThreshold=16m")


class PackSize(NamedTuple):
    """The name of a pack and its number of objects."""

    name: str
    objects: int


def packs_to_repack(packs: Iterable[PackSize]) -> list[str]:
    """Return the packs to combine, so that sizes grow geometrically.

    As with ``git repack --geometric=2``, large packs stay if every one is at least twice the next
    smaller one, and twice the combined pack.
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
    """Writes packs of a repository through a temporary folder; use it in a thread."""

    def __init__(self, program: GitProgram, repo: Path) -> None:
        self._program = program
        self._repo = repo
        self._path = repo / FOLDER / f"tmp_{secrets.token_hex(12)}"

    def combine_packs(self, names: Sequence[str]) -> Pack | None:
        """Write one durable pack with every object of some packs; None if they are empty.

        Raises:
            GitFailed: git exited with a failure.
            StorageFull: the disk is full; no file remains.
        """
        stdin = "".join(f"pack-{name}.pack\n" for name in names).encode()
        return self._write_pack(self._repo, ["--stdin-packs"], stdin)

    def combine_reachable(self, projection: Path) -> Pack | None:
        """Write one durable pack, with a bitmap, of all objects that a projection's refs reach.

        Raises:
            GitFailed, StorageFull: as `combine_packs`.
        """
        return self._write_pack(projection, ["--all", "--write-bitmap-index"], b"")

    def _write_pack(self, git_dir: Path, selection: Sequence[str], stdin: bytes) -> Pack | None:
        arguments = ["pack-objects", "--delta-base-offset", "--quiet", "--non-empty", *selection]
        options = [part for option in _OPTIONS for part in ("-c", option)]
        try:
            with translate_disk_errors():
                self._path.mkdir(parents=True)
            command = self._program.command(git_dir, [*options, *arguments, f"{self._path}/pack"])
            name = _run(command, self._program.environment, stdin).strip()
            return install_pack_files(self._path, self._repo, name) if name else None
        finally:
            shutil.rmtree(self._path, ignore_errors=True)

    def packs_contain(
        self, packs: Sequence[str], tips: Iterable[str], known: Iterable[str]
    ) -> bool:
        """Tell whether some packs contain all objects that ``tips`` reach and ``known`` do not.

        ``known`` are commits whose history the packs are known to contain.
        """
        lines = [*tips, *(f"^{oid}" for oid in known)]
        walk = ["rev-list", "--objects", "--quiet", "--stdin"]
        try:
            with self._only_packs(packs) as environment:
                stdin = "".join(f"{line}\n" for line in lines).encode()
                _run(self._program.command(self._repo, walk), environment, stdin)
        except GitFailed:
            return False
        return True

    def find_unreachable(self, packs: Sequence[str], tips: Iterable[str]) -> dict[str, int]:
        """Return the unreachable objects of some packs, with their size on disk in bytes.

        A missing tip reaches nothing.

        Raises:
            GitFailed: git exited with a failure.
        """
        stdin = "".join(f"{tip}\n" for tip in tips).encode()
        walk = ["rev-list", "--objects", "--no-object-names", "--ignore-missing", "--stdin"]
        output = _run(self._program.command(self._repo, walk), self._program.environment, stdin)
        reachable = {bytes.fromhex(line) for line in output.split()}
        form = "--batch-check=%(objectname) %(objectsize:disk)"
        list_all = ["cat-file", "--batch-all-objects", "--unordered", "--buffer", form]
        with self._only_packs(packs) as environment:
            output = _run(self._program.command(self._repo, list_all), environment, b"")
        rows = (line.split() for line in output.splitlines())
        return {oid: int(size) for oid, size in rows if bytes.fromhex(oid) not in reachable}

    def find_reachable(self, tips: Iterable[str]) -> OidSet:
        """Return the ids of all objects that ``tips`` reach.

        Raises:
            GitFailed: git exited with a failure.
        """
        stdin = "".join(f"{tip}\n" for tip in tips).encode()
        walk = ["rev-list", "--objects", "--no-object-names", "--use-bitmap-index", "--stdin"]
        output = _run(self._program.command(self._repo, walk), self._program.environment, stdin)
        return OidSet(bytes.fromhex(line) for line in output.split())

    def pack_objects(self, oids: Iterable[str]) -> Pack | None:
        """Write one durable pack of exactly these objects; None if there are none.

        Raises:
            GitFailed, StorageFull: as `combine_packs`.
        """
        return self._write_pack(self._repo, [], "".join(f"{oid}\n" for oid in oids).encode())

    @contextlib.contextmanager
    def _only_packs(self, packs: Sequence[str]) -> Iterator[dict[str, str]]:
        """Yield environment variables with which git sees only the objects of some packs."""
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
        """Replace git's commit-graph file by one of the commits that ``tips`` reach.

        Raises:
            GitFailed: git exited with a failure.
        """
        stdin = "".join(f"{tip}\n" for tip in tips).encode()
        walk = ["commit-graph", "write", "--stdin-commits", "--no-progress"]
        _run(self._program.command(self._repo, walk), self._program.environment, stdin)


def _run(command: Sequence[str], environment: Mapping[str, str], stdin: bytes) -> str:
    with tempfile.TemporaryFile() as input_file, tempfile.TemporaryFile() as messages:
        input_file.write(stdin)
        input_file.seek(0)
        process = spawn(command, environment, stdin=input_file, stderr=messages)
        try:
            assert process.stdout is not None
            output = process.stdout.read()
            if process.wait():
                messages.seek(0)
                raise GitFailed(messages.read(1 << 16).decode("utf-8", "replace").strip())
            return output.decode()
        finally:
            end(process)
