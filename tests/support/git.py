"""Runs the real git against a live hub, in work trees without the machine's configuration."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.hub import ThreadHub
from tests.support.person import Person


class GitRefused(Exception):
    """git failed; the text is its output."""


def environment(home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "Anna",
        "GIT_AUTHOR_EMAIL": "anna@example.org",
        "GIT_COMMITTER_NAME": "Anna",
        "GIT_COMMITTER_EMAIL": "anna@example.org",
    }


@dataclass
class Clone:
    """A work tree."""

    path: Path
    more: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, stdin: bytes | None = None, ok: bool = True) -> str:
        result = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=environment(self.path.parent) | self.more,
            input=stdin,
            capture_output=True,
            timeout=100,
            check=False,
        )
        output = (result.stdout + result.stderr).decode("utf-8", "replace")
        if ok and result.returncode:
            raise GitRefused(output)
        return result.stdout.decode("utf-8", "surrogateescape") if ok else output

    def refused(self, *arguments: str) -> str:
        """Run git, which must fail, and return its output."""
        try:
            self(*arguments)
        except GitRefused as error:
            return str(error)
        raise AssertionError(f"git {' '.join(arguments)} was let through")

    def write(self, path: str, content: bytes | str) -> None:
        """Write a file and add it."""
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        self("add", "--", path)

    def commit(self, path: str, content: bytes | str, message: str = "change") -> str:
        """Commit one file and return the commit's id."""
        self.write(path, content)
        self("commit", "-qm", message)
        return self("rev-parse", "HEAD").strip()


def url(person: Person, repo_id: str, *, user: str = "anyone", suffix: str = "") -> str:
    return f"http://{user}:{person.token}@127.0.0.1:{person.hub.port}/{repo_id}{suffix}"


def clone(address: str, folder: Path, *options: str, **more: str) -> Clone:
    folder.parent.mkdir(parents=True, exist_ok=True)
    Clone(folder.parent, more)("clone", "-q", *options, address, str(folder))
    return Clone(folder, more)


def push_body(old: str, new: str, ref: str, pack: bytes = b"", *, can: str = "") -> bytes:
    """Return what a push of one ref sends; ``can`` are capabilities beside ``report-status``."""
    command = f"{old} {new} {ref}\0report-status {can}".encode()
    return b"%04x%b0000" % (len(command) + 4, command) + pack


def tip(hub: ThreadHub, repo_id: str, rev: str = "main", **how: Any) -> str:
    return str(hub.call("GET", f"/api/models/{repo_id}/revision/{rev}", **how).json["sha"])
