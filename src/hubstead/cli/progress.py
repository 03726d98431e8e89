"""Telling on standard error how far a long piece of work has come."""

from __future__ import annotations

import sys
import time

import click

from hubstead.backup import Progress
from hubstead.cli.output import human_size

#: Between two lines of one piece of work; into a file they need not come so often.
_EVERY_S, _EVERY_S_IN_FILES = 0.2, 10.0


class ProgressPrinter:
    """Prints a ``Progress`` now and then: on a terminal in one line that changes."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._every_s = _EVERY_S if self._is_terminal else _EVERY_S_IN_FILES
        self._said_at = time.monotonic()
        self._said = ""

    def __call__(self, progress: Progress) -> None:
        """Take note."""
        now = time.monotonic()
        if now - self._said_at >= self._every_s:
            self._said_at = now
            self._print(_line(progress))

    def end(self) -> None:
        """Leave the line clean for what comes next."""
        if self._is_terminal and self._said:
            self._print("")

    def _print(self, line: str) -> None:
        if self._is_terminal:
            click.echo(f"\r{line.ljust(len(self._said))}\r", nl=False, err=True)
        else:
            click.echo(line, err=True)
        self._said = line


def _line(progress: Progress) -> str:
    if not progress.of_blobs:
        return progress.what
    done, whole = human_size(progress.bytes), human_size(progress.of_bytes)
    return f"{progress.what}: {progress.blobs} of {progress.of_blobs} objects, {done} of {whole}"
