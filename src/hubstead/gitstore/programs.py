"""Runs the git program for heavy or rare work.

Every call blocks until the process ends, so callers on the event loop use a thread.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from hubstead.admission import checkpoint
from hubstead.gitstore.processes import memory_file

_CHUNK = 65536
#: fsck faults that pushes may contain. Old gits and importers wrote them into many real histories,
#: and a repair would change the id of every later commit. None of them ends fsck's check of the
#: line or tree, as other faults do, so libgit2, which rejects a commit without an address or a
#: time, can still read the object.
HARMLESS = ("zeroPaddedFilemode", "badTimezone", "multipleAuthors")


class GitFailed(Exception):
    """Git exited with a failure; the text is its standard error."""


class GitProgram:
    """Runs git without system or user configuration, with messages in English."""

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
        """Return the command line that runs git on one git directory."""
        return [self._program, f"--git-dir={git_dir}", *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """A copy of git's environment variables."""
        return dict(self._environment)

    def run(
        self, git_dir: Path, *arguments: str, stdin: bytes = b"", ok: Sequence[int] = (0,)
    ) -> bytes:
        """Run git to its end and return the standard output.

        Raises:
            GitFailed: the exit status is not in ``ok``.
        """
        done = self.outcome(git_dir, *arguments, stdin=stdin)
        if done.returncode not in ok:
            raise GitFailed(done.stderr.decode("utf-8", "replace").strip())
        return done.stdout

    def outcome(
        self, git_dir: Path, *arguments: str, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Run git to its end and return exit status, output and messages; never raise GitFailed."""
        return subprocess.run(
            self.command(git_dir, arguments),
            input=stdin,
            capture_output=True,
            env=self._environment,
            check=False,
        )

    def stream(self, git_dir: Path, *arguments: str, max_bytes: int) -> Iterator[bytes]:
        """Yield the output in chunks; end the process after ``max_bytes``.

        Raises:
            GitFailed: at the end of the output, if git exited with a failure.
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
                while left > 0 and (chunk := process.stdout.read(min(_CHUNK, left))):
                    checkpoint()
                    left -= len(chunk)
                    yield chunk
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
