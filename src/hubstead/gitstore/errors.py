"""Errors of a missing repository folder and a missing object."""

from __future__ import annotations

from hubstead.errors import HubError


class RepoMissing(HubError):
    """The folder of repository {repo_id} is not on this node."""

    repo_id: str


class ObjectMissing(HubError):
    """The git object {oid} is not on this node."""

    oid: str
