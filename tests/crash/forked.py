"""Starting a hub in a tenth of the time: forked from a process that has imported all of it.

What it runs is the command ``hubstead serve``, in a process of its own that dies as suddenly.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.node import Node, die_with_parent

_FORKING = multiprocessing.get_context("forkserver")
_IMPORTED = (
    "hubstead.app",
    "hubstead.cli.serve",
    "hubstead.db.postgres",
    "hubstead.blobs.s3",
    "alembic.command",
    "sqlalchemy.ext.asyncio",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "tests.crash.forked",
)
_FORKING.set_forkserver_preload(list(_IMPORTED))


@dataclass
class ForkedNode(Node):
    """A server that starts quickly; otherwise like any."""

    child: ForkServerProcess | None = None

    def start(self) -> Node:
        """See ``Node.start``."""
        reader, writer = _FORKING.Pipe(duplex=False)
        arguments = ["serve", "--data", str(self.data), "--port", str(self.fixed_port)]
        child = _FORKING.Process(
            target=_serve, args=(arguments, dict(self.env), self.log, writer), daemon=True
        )
        child.start()
        self.child = child
        writer.close()
        with os.fdopen(os.dup(reader.fileno())) as greeting:
            reader.close()
            self._greeted(greeting)
        return self

    def kill(self) -> None:
        """See ``Node.kill``."""
        assert self.child is not None
        self.child.kill()
        self.child.join(10)
        self.child = None

    def tell_tasks(self) -> None:
        """Have the server write into its log what each of its tasks waits for."""
        assert self.child is not None
        assert self.child.pid is not None
        os.kill(self.child.pid, signal.SIGUSR1)
        time.sleep(0.5)

    def stop(self, *, timeout_s: float = 40) -> int:
        """See ``Node.stop``."""
        assert self.child is not None
        assert self.child.pid is not None
        os.kill(self.child.pid, signal.SIGTERM)
        self.child.join(timeout_s)
        assert self.child.exitcode is not None
        return self.child.exitcode


def _serve(arguments: list[str], env: Mapping[str, str], log: Path, out: Connection) -> None:
    from hubstead.cli.root import root

    die_with_parent()
    signal.signal(signal.SIGUSR1, _tell_tasks)
    os.environ.update(env)
    os.dup2(out.fileno(), 1)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
    out.close()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    root(arguments, prog_name="hubstead")


def _tell_tasks(*_: object) -> None:
    for each in gc.get_objects():
        if isinstance(each, asyncio.Task) and not each.done():
            each.print_stack(file=sys.stderr)
