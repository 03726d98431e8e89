"""Progress of long commands, printed to standard error."""

from __future__ import annotations

import sys
import time

import click

from hubstead.backup import Progress
from hubstead.cli.output import human_size

#: The shortest time between two lines, on a terminal and in a file.
_INTERVAL_S, _INTERVAL_S_IN_FILES = 0.2, 10.0


class ProgressPrinter:
    """Prints ``Progress`` updates, rate-limited; a terminal shows one line that changes."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._interval_s = _INTERVAL_S if self._is_terminal else _INTERVAL_S_IN_FILES
        self._printed_at = time.monotonic()
        self._last_line = ""

    def __call__(self, progress: Progress) -> None:
        """Print ``progress`` unless a line was printed just before."""
        now = time.monotonic()
        if now - self._printed_at >= self._interval_s:
            self._printed_at = now
            self._print(_line(progress))

    def end(self) -> None:
        """Clear the line on a terminal."""
        if self._is_terminal and self._last_line:
            self._print("")

    def _print(self, line: str) -> None:
        if self._is_terminal:
            click.echo(f"\r{line.ljust(len(self._last_line))}\r", nl=False, err=True)
        else:
            click.echo(line, err=True)
        self._last_line = line


def _line(progress: Progress) -> str:
    if not progress.of_blobs:
        return progress.what
    done, whole = human_size(progress.bytes), human_size(progress.of_bytes)
    return f"{progress.what}: {progress.blobs} of {progress.of_blobs} objects, {done} of {whole}"
