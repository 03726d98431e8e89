"""The arguments of every measurement: its folders, its durations and its sizes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.peers import start_nginx
from benchmarks.processes import Server

GIB = 1 << 30
_TMPFS = Path("/dev/shm")


@dataclass(frozen=True)
class Bench:
    """One run."""

    disk: Path  # a folder on a real disk
    memory: Path  # a folder on tmpfs
    cache: Path
    rounds: int
    seconds: float
    repositories: int
    scale: float = 1.0  # of the files that Xet moves

    @contextmanager
    def nginx(self) -> Iterator[Server]:
        """An nginx that serves and receives files on tmpfs."""
        server = start_nginx(self.disk / "nginx", self.memory / "nginx")
        try:
            yield server
        finally:
            server.stop()

    @property
    def nginx_files(self) -> Path:
        return self.memory / "nginx" / "files"


@contextmanager
def folders(root: Path) -> Iterator[tuple[Path, Path]]:
    """Yield an empty folder on disk and one on tmpfs, until the block ends."""
    root.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(_TMPFS).free < 7 * GIB:
        raise SystemExit("the transfers need 7 GiB of room on tmpfs (/dev/shm)")
    with (
        TemporaryDirectory(prefix="hubstead-bench-", dir=root) as disk,
        TemporaryDirectory(prefix="hubstead-bench-", dir=_TMPFS) as memory,
    ):
        Path(memory).chmod(0o755)
        Path(disk).chmod(0o755)
        yield Path(disk), Path(memory)
