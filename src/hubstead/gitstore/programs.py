"""The git program, for work that is heavy or rare.

Each call runs a process and waits for it, so callers on the event loop use a thread.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from hubstead.gitstore.processes import memory_file

_CHUNK = 65536
#: Faults of old gits and importers that real histories are full of, and that nobody can mend
#: without giving every later commit another id: they keep nobody from pushing. None of these
#: ends the check of its line or tree, as others do: what passes can still be read by libgit2,
#: which knows no commit without an address or a time.
HARMLESS = ("zeroPaddedFilemode", "badTimezone", "multipleAuthors")


class GitFailed(Exception):
    """A git program ended with a fault; the text is what it said."""


class GitProgram:
    """Runs git with nothing of the machine's or user's configuration, messages in English."""

    def __init__(self, program: str = "git") -> None:
        self._program = shutil.which(program) or program
        self._environment = {
            "PATH": f"{Path(self._program).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": "/nonexistent",
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
        }

    def command(self, git_dir: Path, arguments: Sequence[str]) -> list[str]:
        """Return the argument list that runs git on one git directory."""
        return [self._program, f"--git-dir={git_dir}", *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """A copy of the environment that git is given."""
        return dict(self._environment)

    def run(
        self, git_dir: Path, *arguments: str, stdin: bytes = b"", ok: Sequence[int] = (0,)
    ) -> bytes:
        """Run to the end and return the standard output.

        Raises:
            GitFailed: when the exit status is not among ``ok``.
        """
        done = self.outcome(git_dir, *arguments, stdin=stdin)
        if done.returncode not in ok:
            raise GitFailed(done.stderr.decode("utf-8", "replace").strip())
        return done.stdout

    def outcome(
        self, git_dir: Path, *arguments: str, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Run to the end and return status, output and messages, whatever they are."""
        return subprocess.run(
            self.command(git_dir, arguments),
            input=stdin,
            capture_output=True,
            env=self._environment,
            check=False,
        )

    def stream(self, git_dir: Path, *arguments: str, max_bytes: int) -> Iterator[bytes]:
        """Yield the output in pieces and stop, the process too, after ``max_bytes``.

        Raises:
            GitFailed: at the end of the output, when git ended with a fault.
        """
        with memory_file() as messages:
            process = subprocess.Popen(
                self.command(git_dir, arguments),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=messages,
                env=self._environment,
            )
            assert process.stdout is not None
            left = max_bytes
            try:
                while left > 0 and (piece := process.stdout.read(min(_CHUNK, left))):
                    left -= len(piece)
                    yield piece
                if left > 0 and process.wait() != 0:
                    messages.seek(0)
                    raise GitFailed(messages.read(_CHUNK).decode("utf-8", "replace").strip())
            finally:
                _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
