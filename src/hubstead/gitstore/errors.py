"""What this room cannot find: a repository's folder, or an object in it."""

from __future__ import annotations

from hubstead.errors import HubError


class RepoMissing(HubError):
    """The folder of repository {repo_id} is not on this node."""

    repo_id: str


class ObjectMissing(HubError):
    """The git object {oid} is not on this node."""

    oid: str
