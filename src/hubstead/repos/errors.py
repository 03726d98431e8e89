"""Errors that carry the name of a repository as a ``RepoId``."""

from __future__ import annotations

from hubstead.errors import HubError
from hubstead.ids import RepoId


class RepoMoved(HubError):
    """The repository is now called {target}."""

    target: RepoId


class RepoExists(HubError):
    """You already created this {repo_id.kind.value} repo. \
A {repo_id.kind.value} repository called {repo_id} already exists"""

    repo_id: RepoId
