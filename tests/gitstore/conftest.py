"""A store on a real disk, and the real git program that checks it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hubstead.gitstore import GitRepo, GitStore, Ident
from hubstead.ids import new_object_id

Git = Callable[..., bytes]
ADA = Ident("Ada", "ada@example.org")


def run_git(*arguments: str | Path, stdin: bytes = b"", index: Path | None = None) -> bytes:
    """Run git without any configuration of the machine; a failure fails the test."""
    environment = {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C",
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
    }
    if index is not None:
        environment["GIT_INDEX_FILE"] = str(index)
    result = subprocess.run(
        ["git", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env=environment,
        check=False,
    )
    assert result.returncode == 0, (arguments, result.stderr)
    return result.stdout


@pytest.fixture(scope="module")
def git() -> Git:
    return run_git


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> GitStore:
    return GitStore(tmp_path_factory.mktemp("git"))


@pytest.fixture(scope="module")
def a_repo(store: GitStore) -> Callable[[], GitRepo]:
    """Create a new empty repository at every call."""
    return lambda: store.create(new_object_id())


@pytest.fixture
def repo(a_repo: Callable[[], GitRepo]) -> GitRepo:
    return a_repo()
