"""What this room cannot find: a repository's folder, or an object in it."""

from __future__ import annotations

from hubstead import errors


class RepoMissing(errors.NotFound):
    """The folder of repository {repo_id} is not on this node."""


class ObjectMissing(errors.NotFound):
    """The git object {oid} is not on this node."""
