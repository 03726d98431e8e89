"""Quarantines a pushed pack: indexes and checks it beside the repository, then installs it.

The staging folder is a separate object directory. Git sees in it only the packs that the database
registers, so an accepted push never depends on the leftovers of a failed write::

    REPO.git/staging/tmp_TOKEN/registered/pack/     links to the registered packs
    REPO.git/staging/tmp_TOKEN/objects/pack/        the pushed pack
"""

from __future__ import annotations

import contextlib
import io
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
from hubstead.files import sync_file, sync_folder, translate_disk_errors
from hubstead.gitstore.errors import ObjectMissing
from hubstead.gitstore.pack_draft import Pack
from hubstead.gitstore.pointer import MARKS, Pointer, is_padded_pointer, parse
from hubstead.gitstore.processes import end, spawn, widen
from hubstead.gitstore.programs import HARMLESS, GitProgram
from hubstead.gitstore.tree_paths import TreePaths
from hubstead.gitstore.tree_rows import is_known_mode, parse_rows

FOLDER = "staging"
_REQUEST_BYTES = 1 << 15
_READ_BYTES = 1 << 18
#: How many small files one process reads into memory.
_FILES_AT_ONCE = 64
#: How many bytes of such files of one push there may be in all.
_MOST_SMALL_BYTES = 64 << 20
#: The output lines of ``git cat-file`` in ``new_blobs`` for a blob and for a missing object.
_BLOB = re.compile(rb"^blob ([0-9]+) ([0-9a-f]{40}) (.*)$", re.M)
_MISSING = re.compile(rb"^([0-9a-f]{40}) missing$", re.M)
_PACK_LINE = re.compile(r"(?:pack|keep)\t([0-9a-f]{40})")
#: Memory limits for git while it reads pushed objects, which may be decompression bombs.
_OPTIONS = (
    "core.bigFileThreshold=16m",
    "core.packedGitWindowSize=32m",
    "core.packedGitLimit=512m",
    "core.deltaBaseCacheLimit=64m",
    "core.fsync=none",  # install_pack_files syncs accepted packs
)
_STRICT = "--strict=badFilemode=warn," + ",".join(f"{fault}=ignore" for fault in HARMLESS)
#: A warning about a tree with a mode that git no longer writes; it does not name the entry.
_BAD_MODE = re.compile(rb"^warning: object ([0-9a-f]{40}): badFilemode", re.M)
_ULIMIT_SCRIPT = 'ulimit -v "$0"; ulimit -t "$1"; shift; exec "$@"'


class PackRefused(HubError):
    """The pack was refused: {reason}"""

    reason: str


class PushLimits(NamedTuple):
    """Resource limits of one push."""

    pack_bytes: int
    memory_bytes: int  # of every git process
    cpu_s: int
    fix_thin: bool = True  # whether deltas may have their base in the repository


class RegisteredState(NamedTuple):
    """The packs and refs of a repository in the database when a push began."""

    packs: Sequence[str]  # by name; a push may depend on these only
    tips: Sequence[str]  # ids that refs point to; the packs contain all they reach


class PushedBlob(NamedTuple):
    """A blob that no ref reached before the push."""

    oid: str
    size: int
    path: str  # the first path in the walk, empty without one


class Staging:
    """One push. Call its methods in threads, ``feed`` in one only; ``remove`` deletes all files."""

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
            with translate_disk_errors():
                self._prepare(registered.packs)
        except BaseException:
            self.remove()
            raise

    def _prepare(self, packs: Iterable[str]) -> None:
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
        return ["/bin/sh", "-c", _ULIMIT_SCRIPT, memory, str(self._limits.cpu_s), *git]

    # -- receiving bytes ---------------------------------------------------------------------

    def feed(self, data: bytes | memoryview) -> None:
        """Pass the next bytes of the pack to git.

        Raises:
            PackRefused: git rejected the pack; the reason is its message.
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
        thin = ["--fix-thin"] if self._limits.fix_thin else []
        arguments = ["index-pack", "--stdin", *thin, _STRICT, "--no-rev-index"]
        self._indexing = spawn(
            self._command(*arguments, f"--max-input-size={self._limits.pack_bytes}"),
            self._environment(),
            stdin=subprocess.PIPE,
            stderr=self._messages,
        )

    def finish(self) -> str | None:
        """Wait until the pack is indexed; return its name, None if no bytes came.

        Raises:
            PackRefused: it is damaged, too large, or depends on missing objects.
            StorageFull: the disk is full.
        """
        if self._indexing is None:
            return None
        assert self._indexing.stdin is not None
        assert self._indexing.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._indexing.stdin.close()
        output = self._indexing.stdout.read().decode()
        if self._indexing.wait() != 0 or not (match := _PACK_LINE.search(output)):
            self._refuse()
        self._check_modes()
        return match[1]

    def _check_modes(self) -> None:
        """Refuse modes that git never wrote: tree parsers fail on them or disagree."""
        assert self._messages is not None
        self._messages.seek(0)
        # Line by line: git warns about every such tree of a pack.
        for match in filter(None, map(_BAD_MODE.match, self._messages)):
            oid = match[1].decode()
            for mode, name, _ in parse_rows(self._tree(oid)):
                if not is_known_mode(mode):
                    shown = name.decode("utf-8", "backslashreplace")
                    raise PackRefused(
                        reason=f"the tree {oid} has {shown!r} with mode {mode.decode()}, "
                        "which is none of git's"
                    )

    def _tree(self, oid: str) -> bytes:
        result = subprocess.run(
            self._command("cat-file", "tree", oid),
            capture_output=True,
            env=self._environment(),
            check=False,
        )
        if result.returncode:
            raise PackRefused(reason=_reason(result.stderr.decode("utf-8", "replace"), 1))
        return result.stdout

    def _refuse(self) -> NoReturn:
        assert self._indexing is not None
        assert self._messages is not None
        status = self._indexing.wait()
        self._messages.seek(0)
        text = self._messages.read(1 << 16).decode("utf-8", "replace")
        if "No space left on device" in text or "Disk quota exceeded" in text:
            raise StorageFull()
        raise PackRefused(reason=_reason(text, status))

    # -- checking ----------------------------------------------------------------------------

    def new_blobs(self, tips: Sequence[str]) -> Iterator[PushedBlob]:
        """Yield the blobs that ``tips`` reach and the registered tips do not.

        Exhausting the iterator proves that every object that ``tips`` reach exists.

        Raises:
            PackRefused: an object is missing.
        """
        with tempfile.TemporaryFile(dir=self.path) as stdin, self._messages_file() as messages:
            stdin.writelines(f"{tip}\n".encode() for tip in tips)
            stdin.writelines(f"^{oid}\n".encode() for oid in self._known)
            stdin.seek(0)
            walk = spawn(
                self._command("rev-list", "--objects", "--stdin"),
                self._environment(),
                stdin=stdin,
                stderr=messages,
            )
            assert walk.stdout is not None
            line_format = "--batch-check=%(objecttype) %(objectsize) %(objectname) %(rest)"
            lookup = spawn(
                self._command("cat-file", line_format, "--buffer"),
                self._environment(),
                stdin=walk.stdout,  # type: ignore[arg-type]
                stderr=messages,
            )
            try:
                walk.stdout.close()
                yield from _blobs(lookup)
                if walk.wait() or lookup.wait():
                    messages.seek(0)
                    text = messages.read(1 << 16).decode("utf-8", "replace")
                    raise PackRefused(reason=_reason(text, walk.returncode))
            finally:
                end(walk)
                end(lookup)

    def absent_objects(self, tips: Sequence[str], pack: str | None) -> set[str]:
        """Return the objects that ``tips`` need beyond the registered tips and the pushed pack.

        Raises:
            PackRefused: an object is missing.
        """
        lines = "".join(f"{tip}\n" for tip in tips) + "".join(f"^{oid}\n" for oid in self._known)
        walk = self._run(["rev-list", "--objects", "--no-object-names", "--stdin"], lines.encode())
        needed = set(walk.decode().split())
        if pack is not None and needed:
            index = self._objects / "pack" / f"pack-{pack}.idx"
            listed = self._run(["show-index"], index.read_bytes())
            needed -= {line.split(" ")[1] for line in listed.decode().splitlines()}
        return needed

    def _run(self, arguments: Sequence[str], stdin: bytes) -> bytes:
        done = subprocess.run(
            self._command(*arguments),
            input=stdin,
            capture_output=True,
            env=self._environment(),
            check=False,
        )
        if done.returncode:
            raise PackRefused(reason=_reason(done.stderr.decode("utf-8", "replace"), 1))
        return done.stdout

    def _messages_file(self) -> BinaryIO:
        return tempfile.TemporaryFile(dir=self.path)

    @contextlib.contextmanager
    def read_blobs(self) -> Iterator[BlobReader]:
        """Yield a reader of small blobs, which runs while the walk goes on."""
        with self._messages_file() as content:
            process = spawn(
                self._command("cat-file", "--batch", "--buffer"),
                self._environment(),
                stdin=subprocess.PIPE,
                stdout=content,
            )
            try:
                yield BlobReader(process, content)
            finally:
                end(process)

    def paths(self, tips: Sequence[str]) -> Iterator[bytes]:
        """Yield the path of every file and folder of some commits, most of them once.

        Raises:
            PackRefused: the listing failed.
        """
        roots = [tree for _, tree in self._peeled(tips, "tree").values() if tree] if tips else []
        if not roots:
            return
        process = spawn(
            self._command("cat-file", "--batch"),
            self._environment(),
            stdin=subprocess.PIPE,
        )
        try:
            yield from TreePaths(process).below(roots)
        except ObjectMissing as error:  # the listing is incomplete
            raise PackRefused(reason=_reason("", 1)) from error
        finally:
            end(process)

    def small_files(self, tips: Sequence[str], path: str, limit: int) -> dict[str, bytes]:
        """Return, by tip, the content of the file ``path`` where it has at most ``limit`` bytes.

        Raises:
            PackRefused: the lookup failed.
        """
        if not tips:
            return {}
        names = "".join(f"{tip}:{path}\n" for tip in tips).encode()
        described = self._read("--batch-check=%(objecttype) %(objectsize) %(objectname)", names)
        rows = [line.split(b" ") for line in described.splitlines()]
        found = {
            tip: row[2]
            for tip, row in zip(tips, rows, strict=True)
            if len(row) == 3 and row[0] == b"blob" and int(row[1]) <= limit
        }
        wanted = set(found.values())
        sizes = {row[2]: int(row[1]) for row in rows if len(row) == 3 and row[2] in wanted}
        if sum(sizes.values()) > _MOST_SMALL_BYTES:
            raise PackRefused(reason=f"the files {path} of its refs are too large in all")
        contents = self._contents(list(dict.fromkeys(found.values())))
        return {tip: contents[oid] for tip, oid in found.items()}

    def _contents(self, oids: Sequence[bytes]) -> dict[bytes, bytes]:
        contents = {}
        for start in range(0, len(oids), _FILES_AT_ONCE):
            some = oids[start : start + _FILES_AT_ONCE]
            output = io.BytesIO(self._read("--batch", b"".join(b"%b\n" % oid for oid in some)))
            for oid in some:
                size = int(output.readline().rsplit(b" ", 1)[1])
                contents[oid] = output.read(size + 1)[:size]
        return contents

    def _read(self, form: str, names: bytes) -> bytes:
        """Ask ``git cat-file`` for objects by name, one a line.

        Raises:
            PackRefused: git failed.
        """
        result = subprocess.run(
            self._command("cat-file", form),
            input=names,
            capture_output=True,
            env=self._environment(),
            check=False,
        )
        if result.returncode:
            raise PackRefused(reason=_reason(result.stderr.decode("utf-8", "replace"), 1))
        return result.stdout

    def kinds(self, oids: Sequence[str]) -> dict[str, tuple[str, str | None]]:
        """Return, by id, the type of every object and the commit that it peels to, if any.

        Raises:
            PackRefused: an object is missing, or the lookup failed.
        """
        return self._peeled(oids, "commit")

    def _peeled(self, oids: Sequence[str], to: str) -> dict[str, tuple[str, str | None]]:
        stdin = "".join(f"{oid}\n{oid}^{{{to}}}\n" for oid in oids).encode()
        output = self._read("--batch-check=%(objecttype) %(objectname)", stdin)
        lines = [line.split(" ") for line in output.decode().splitlines()]
        kinds: dict[str, tuple[str, str | None]] = {}
        for oid, (kind, _), (peeled_kind, peeled) in zip(
            oids, lines[::2], lines[1::2], strict=True
        ):
            if kind == oid:
                raise PackRefused(reason=f"the object {oid} is missing")
            kinds[oid] = kind, peeled if peeled_kind == to else None
        return kinds

    # -- ending ------------------------------------------------------------------------------

    def install(self, name: str) -> Pack:
        """Install the pack in the repository, durably; the caller then registers its row."""
        return install_pack_files(self._objects / "pack", self._repo, name)

    def remove(self) -> None:
        """End the process and remove all files; idempotent."""
        if self._indexing is not None:
            end(self._indexing)
        if self._messages is not None:
            self._messages.close()
        shutil.rmtree(self.path, ignore_errors=True)
        self._on_remove()


def install_pack_files(source: Path, repo: Path, name: str) -> Pack:
    """Link a pack from a temporary folder into a repository, durably; the source stays.

    Raises:
        StorageFull: the disk is full.
    """
    target = repo / "objects/pack"
    files = [source / f"pack-{name}{suffix}" for suffix in (".pack", ".bitmap", ".idx")]
    files = [file for file in files if file.exists()]
    with translate_disk_errors():
        for file in files:
            file.chmod(0o444)
            sync_file(file)
        for file in files:  # the index last: git finds packs by it
            with contextlib.suppress(FileExistsError):
                os.link(file, target / file.name)
        sync_folder(target)
    pack, idx = target / f"pack-{name}.pack", target / f"pack-{name}.idx"
    with pack.open("rb") as stream:
        objects = int.from_bytes(stream.read(12)[8:], "big")
    return Pack(name, objects, pack.stat().st_size, pack, idx)


class BlobReader:
    """Requests blobs one by one, and reads them after the last request."""

    def __init__(self, process: subprocess.Popen[bytes], content: BinaryIO) -> None:
        assert process.stdin is not None
        widen(process.stdin.fileno())
        self._process = process
        self._content = content
        self._requests = bytearray()

    def request(self, oid: str) -> None:
        """Request a blob."""
        self._requests += f"{oid}\n".encode()
        if len(self._requests) > _REQUEST_BYTES:
            self._send()

    def _send(self) -> None:
        assert self._process.stdin is not None
        left = memoryview(bytes(self._requests))
        self._requests.clear()
        with contextlib.suppress(BrokenPipeError):  # `pointers` reports the failure
            while left:
                left = left[self._process.stdin.write(left) or 0 :]

    def pointers(self) -> Iterator[tuple[str, Pointer | None]]:
        """Yield (oid, pointer) of the blobs that are LFS pointers; None for a padded pointer.

        Raises:
            PackRefused: git failed to read a blob.
        """
        assert self._process.stdin is not None
        self._send()
        self._process.stdin.close()
        if status := self._process.wait():  # an unread blob may be a pointer
            raise PackRefused(reason=_reason("", status))
        if not os.fstat(self._content.fileno()).st_size:
            return
        with mmap.mmap(self._content.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if all(content.find(mark) < 0 for mark in MARKS):  # the usual case
                return
            while head := content.readline():
                oid, _type, size = head.decode().split()
                text = content.read(int(size))
                pointer = parse(text)
                if pointer is not None or is_padded_pointer(text):
                    yield oid, pointer
                content.read(1)


def _blobs(process: subprocess.Popen[bytes]) -> Iterator[PushedBlob]:
    """Parse the output of ``git cat-file``; skip objects that are not blobs."""
    assert process.stdout is not None
    rest = b""
    while chunk := process.stdout.read(_READ_BYTES):
        lines, _, rest = (rest + chunk).rpartition(b"\n")
        if missing := _MISSING.search(lines):
            raise PackRefused(reason=f"the object {missing[1].decode()} is missing")
        for size, oid, path in _BLOB.findall(lines):
            yield PushedBlob(oid.decode(), int(size), path.decode("utf-8", "surrogateescape"))


def _reason(messages: str, status: int) -> str:
    lines = [line.removeprefix("fatal: ").removeprefix("error: ") for line in messages.splitlines()]
    lines = [line for line in lines if line.strip()]
    if len(lines) > 1 and lines[-1] == "fsck error in packed object":
        return lines[-2]  # the line before names the object and its fault
    if lines:
        return lines[-1]
    return "it takes too much memory or time" if status else "git said nothing"
