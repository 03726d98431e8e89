"""A pushed pack on probation: indexed and looked through beside the repository, then taken in.

The staging folder is an object directory of its own. It sees the packs that the database knows
of and no others, so nothing that was accepted can lean on what a broken write left::

    REPO.git/staging/tmp_TOKEN/registered/pack/     links to the registered packs
    REPO.git/staging/tmp_TOKEN/objects/pack/        what was pushed
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, NoReturn

from hubstead.errors import HubError, StorageFull
from hubstead.files import sync_file, sync_folder, translate_disk_full
from hubstead.gitstore.pack_draft import Pack
from hubstead.gitstore.pointer import MARKS, Pointer, is_padded_pointer, parse
from hubstead.gitstore.processes import end, spawn, widen
from hubstead.gitstore.programs import HARMLESS, GitProgram
from hubstead.gitstore.tree_rows import is_known_mode, parse_rows

FOLDER = "staging"
_ASK_BYTES = 1 << 15
_READ_BYTES = 1 << 18
#: A blob as ``new_blobs`` has it told, and what is told of an object that is not there.
_BLOB = re.compile(rb"^blob ([0-9]+) ([0-9a-f]{40}) (.*)$", re.M)
_MISSING = re.compile(rb"^([0-9a-f]{40}) missing$", re.M)
_KEPT = re.compile(r"(?:pack|keep)\t([0-9a-f]{40})")
#: For reading what was pushed: bombs end against the limits below, not against the machine's.
_OPTIONS = (
    "core.bigFileThreshold=16m",
    "core.packedGitWindowSize=32m",
    "core.packedGitLimit=512m",
    "core.deltaBaseCacheLimit=64m",
    "core.fsync=none",  # what is accepted is made durable when it is
)
_STRICT = "--strict=badFilemode=warn," + ",".join(f"{fault}=ignore" for fault in HARMLESS)
#: A tree with a mode that git does not write today; which one it is has to be looked up.
_ODD_MODES = re.compile(rb"^warning: object ([0-9a-f]{40}): badFilemode", re.M)
_LIMITED = 'ulimit -v "$0"; ulimit -t "$1"; shift; exec "$@"'


class PackRefused(HubError):
    """The pack was refused: {reason}"""

    reason: str


class PushLimits(NamedTuple):
    """What looking through one push may take."""

    pack_bytes: int
    memory_bytes: int  # of each git program
    cpu_s: int


class RegisteredState(NamedTuple):
    """What the database knew of a repository when a push began."""

    packs: Sequence[str]  # by name; a push may lean on these and no others
    tips: Sequence[str]  # oids that refs point to; the packs hold all that they reach


class PushedBlob(NamedTuple):
    """A blob that no ref reached before."""

    oid: str
    size: int
    path: str  # the first under which it was found, if it has one


class Staging:
    """One push. Its methods are for threads, of which one feeds; ``remove`` leaves nothing."""

    def __init__(
        self,
        program: GitProgram,
        repo: Path,
        registered: RegisteredState,
        limits: PushLimits,
        on_remove: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_remove = on_remove
        self._program = program
        self._repo = repo
        self._limits = limits
        self._known = registered.tips
        self.path = repo / FOLDER / f"tmp_{secrets.token_hex(12)}"
        self._objects = self.path / "objects"
        self._indexing: subprocess.Popen[bytes] | None = None
        self._messages: BinaryIO | None = None
        try:
            with translate_disk_full():
                self._lay(registered.packs)
        except BaseException:
            self.remove()
            raise

    def _lay(self, packs: Iterable[str]) -> None:
        registered = self.path / "registered"
        for folder in (registered / "pack", self._objects / "pack", self._objects / "info"):
            folder.mkdir(parents=True)
        for name in packs:
            for suffix in (".pack", ".idx"):
                file = f"pack-{name}{suffix}"
                (registered / "pack" / file).symlink_to(self._repo / "objects/pack" / file)
        (self._objects / "info/alternates").write_text(f"{registered}\n")

    def _environment(self) -> dict[str, str]:
        return {**self._program.environment, "GIT_OBJECT_DIRECTORY": str(self._objects)}

    def _command(self, *arguments: str) -> list[str]:
        options = [part for option in _OPTIONS for part in ("-c", option)]
        git = self._program.command(self._repo, [*options, *arguments])
        memory = str(self._limits.memory_bytes >> 10)
        return ["/bin/sh", "-c", _LIMITED, memory, str(self._limits.cpu_s), *git]

    # -- taking the bytes --------------------------------------------------------------------

    def feed(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the pack.

        Raises:
            PackRefused: git has ended already; with what it said.
            StorageFull: the disk is full.
        """
        if self._indexing is None:
            self._start()
        assert self._indexing is not None
        assert self._indexing.stdin is not None
        left = memoryview(data)
        try:
            while left:
                left = left[self._indexing.stdin.write(left) or 0 :]
        except BrokenPipeError:
            self._refuse()

    def _start(self) -> None:
        self._messages = self._messages_file()
        arguments = ["index-pack", "--stdin", "--fix-thin", _STRICT, "--no-rev-index"]
        self._indexing = spawn(
            self._command(*arguments, f"--max-input-size={self._limits.pack_bytes}"),
            self._environment(),
            stdin=subprocess.PIPE,
            stderr=self._messages,
        )

    def finish(self) -> str | None:
        """Wait until the pack is indexed; return its name, None if there was none.

        Raises:
            PackRefused: it is broken, too large, or leans on objects that are not here.
            StorageFull: the disk is full.
        """
        if self._indexing is None:
            return None
        assert self._indexing.stdin is not None
        assert self._indexing.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._indexing.stdin.close()
        said = self._indexing.stdout.read().decode()
        if self._indexing.wait() != 0 or not (found := _KEPT.search(said)):
            self._refuse()
        self._check_modes()
        return found[1]

    def _check_modes(self) -> None:
        """Refuse modes that git never wrote: programs that read trees fail or differ on them."""
        assert self._messages is not None
        self._messages.seek(0)
        for found in _ODD_MODES.finditer(self._messages.read()):
            oid = found[1].decode()
            for mode, name, _ in parse_rows(self._tree(oid)):
                if not is_known_mode(mode):
                    shown = name.decode("utf-8", "backslashreplace")
                    raise PackRefused(
                        reason=f"the tree {oid} has {shown!r} with mode {mode.decode()}, "
                        "which is none of git's"
                    )

    def _tree(self, oid: str) -> bytes:
        done = subprocess.run(
            self._command("cat-file", "tree", oid),
            capture_output=True,
            env=self._environment(),
            check=False,
        )
        if done.returncode:
            raise PackRefused(reason=_reason(done.stderr.decode("utf-8", "replace"), 1))
        return done.stdout

    def _refuse(self) -> NoReturn:
        assert self._indexing is not None
        assert self._messages is not None
        status = self._indexing.wait()
        self._messages.seek(0)
        said = self._messages.read(1 << 16).decode("utf-8", "replace")
        if "No space left on device" in said or "Disk quota exceeded" in said:
            raise StorageFull()
        raise PackRefused(reason=_reason(said, status))

    # -- looking through it ------------------------------------------------------------------

    def new_blobs(self, tips: Sequence[str]) -> Iterator[PushedBlob]:
        """Yield blobs that ``tips`` reach and no ref did; all they reach is there when this ends.

        Raises:
            PackRefused: something is missing.
        """
        with tempfile.TemporaryFile(dir=self.path) as asked, self._messages_file() as messages:
            asked.writelines(f"{tip}\n".encode() for tip in tips)
            asked.writelines(f"^{oid}\n".encode() for oid in self._known)
            asked.seek(0)
            walk = spawn(
                self._command("rev-list", "--objects", "--stdin"),
                self._environment(),
                stdin=asked,
                stderr=messages,
            )
            assert walk.stdout is not None
            form = "--batch-check=%(objecttype) %(objectsize) %(objectname) %(rest)"
            look = spawn(
                self._command("cat-file", form, "--buffer"),
                self._environment(),
                stdin=walk.stdout,  # type: ignore[arg-type]
                stderr=messages,
            )
            try:
                walk.stdout.close()
                yield from _blobs(look)
                if walk.wait() or look.wait():
                    messages.seek(0)
                    said = messages.read(1 << 16).decode("utf-8", "replace")
                    raise PackRefused(reason=_reason(said, walk.returncode))
            finally:
                end(walk)
                end(look)

    def _messages_file(self) -> BinaryIO:
        return tempfile.TemporaryFile(dir=self.path)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Reading]:
        """Read small blobs while others are still being looked for: some may be pointers."""
        with self._messages_file() as content:
            process = spawn(
                self._command("cat-file", "--batch", "--buffer"),
                self._environment(),
                stdin=subprocess.PIPE,
                stdout=content,
            )
            try:
                yield Reading(process, content)
            finally:
                end(process)

    def paths(self, tip: str) -> Iterator[bytes]:
        """Yield the path of every file and folder of a commit.

        Raises:
            PackRefused: they could not all be listed.
        """
        process = spawn(
            self._command("ls-tree", "-r", "-t", "-z", "--full-tree", "--name-only", tip),
            self._environment(),
            stdin=subprocess.DEVNULL,
        )
        assert process.stdout is not None
        try:
            rest = b""
            while piece := process.stdout.read(_READ_BYTES):
                *paths, rest = (rest + piece).split(b"\0")
                yield from paths
            if status := process.wait():  # the rest was not looked at
                raise PackRefused(reason=_reason("", status))
        finally:
            end(process)

    def kinds(self, oids: Sequence[str]) -> dict[str, tuple[str, str | None]]:
        """Return what each object is, and the commit it is or stands for, if any.

        Raises:
            PackRefused: one is not there, or they could not all be looked up.
        """
        asked = "".join(f"{oid}\n{oid}^{{commit}}\n" for oid in oids).encode()
        done = subprocess.run(
            self._command("cat-file", "--batch-check=%(objecttype) %(objectname)"),
            input=asked,
            capture_output=True,
            env=self._environment(),
            check=False,
        )
        if done.returncode:
            raise PackRefused(reason=_reason(done.stderr.decode("utf-8", "replace"), 1))
        told = [line.split(" ") for line in done.stdout.decode().splitlines()]
        found: dict[str, tuple[str, str | None]] = {}
        for oid, (kind, _), (of_commit, commit) in zip(oids, told[::2], told[1::2], strict=True):
            if kind == oid:
                raise PackRefused(reason=f"the object {oid} is missing")
            found[oid] = kind, commit if of_commit == "commit" else None
        return found

    # -- its end -----------------------------------------------------------------------------

    def install(self, name: str) -> Pack:
        """Take the pack into the repository, durably; it is nobody's before its row is there."""
        return install_pack_files(self._objects / "pack", self._repo, name)

    def remove(self) -> None:
        """End what still runs and leave nothing. Harmless when repeated."""
        if self._indexing is not None:
            end(self._indexing)
        if self._messages is not None:
            self._messages.close()
        shutil.rmtree(self.path, ignore_errors=True)
        self._on_remove()


def install_pack_files(source: Path, repo: Path, name: str) -> Pack:
    """Give a repository a pack that was made beside it, durably; it stays where it is as well.

    Raises:
        StorageFull: the disk is full.
    """
    target = repo / "objects/pack"
    files = [source / f"pack-{name}{suffix}" for suffix in (".pack", ".bitmap", ".idx")]
    files = [file for file in files if file.exists()]
    with translate_disk_full():
        for file in files:
            file.chmod(0o444)
            sync_file(file)
        for file in files:  # the index last: git finds packs by it
            with contextlib.suppress(FileExistsError):
                os.link(file, target / file.name)
        sync_folder(target)
    pack, idx = target / f"pack-{name}.pack", target / f"pack-{name}.idx"
    with pack.open("rb") as opened:
        objects = int.from_bytes(opened.read(12)[8:], "big")
    return Pack(name, objects, pack.stat().st_size, pack, idx)


class Reading:
    """Blobs asked for one by one, and read when all were asked for."""

    def __init__(self, process: subprocess.Popen[bytes], content: BinaryIO) -> None:
        assert process.stdin is not None
        widen(process.stdin.fileno())
        self._process = process
        self._content = content
        self._asked = bytearray()

    def ask(self, oid: str) -> None:
        """Ask for a blob."""
        self._asked += f"{oid}\n".encode()
        if len(self._asked) > _ASK_BYTES:
            self._send()

    def _send(self) -> None:
        assert self._process.stdin is not None
        left = memoryview(bytes(self._asked))
        self._asked.clear()
        with contextlib.suppress(BrokenPipeError):  # `pointers` says how it ended
            while left:
                left = left[self._process.stdin.write(left) or 0 :]

    def pointers(self) -> Iterator[tuple[str, Pointer | None]]:
        """Yield (oid, what it says) of those that are LFS pointers, None for one with padding.

        Raises:
            PackRefused: they could not all be read.
        """
        assert self._process.stdin is not None
        self._send()
        self._process.stdin.close()
        if status := self._process.wait():  # a blob that was not read could be a pointer
            raise PackRefused(reason=_reason("", status))
        if not os.fstat(self._content.fileno()).st_size:
            return
        with mmap.mmap(self._content.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if all(content.find(mark) < 0 for mark in MARKS):  # as in most pushes of small files
                return
            while head := content.readline():
                oid, _type, size = head.decode().split()
                text = content.read(int(size))
                pointer = parse(text)
                if pointer is not None or is_padded_pointer(text):
                    yield oid, pointer
                content.read(1)


def _blobs(process: subprocess.Popen[bytes]) -> Iterator[PushedBlob]:
    """Read what ``cat-file`` says of objects, and pass over what is no blob."""
    assert process.stdout is not None
    rest = b""
    while piece := process.stdout.read(_READ_BYTES):
        lines, _, rest = (rest + piece).rpartition(b"\n")
        if missing := _MISSING.search(lines):
            raise PackRefused(reason=f"the object {missing[1].decode()} is missing")
        for size, oid, path in _BLOB.findall(lines):
            yield PushedBlob(oid.decode(), int(size), path.decode("utf-8", "surrogateescape"))


def _reason(said: str, status: int) -> str:
    lines = [line.removeprefix("fatal: ").removeprefix("error: ") for line in said.splitlines()]
    lines = [line for line in lines if line.strip()]
    if len(lines) > 1 and lines[-1] == "fsck error in packed object":
        return lines[-2]  # which object it is, and what is wrong with it
    if lines:
        return lines[-1]
    return "it takes too much memory or time" if status else "git said nothing"
