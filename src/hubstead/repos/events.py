"""Events about repositories, recorded with the change and dispatched to listeners."""

from __future__ import annotations

from hubstead.outbox import Event, Subject


def repo_subject(repo_pk: int) -> Subject:
    """Return a repository as the subject of an event."""
    return Subject("repo", repo_pk)


class RepoEvent(Event, frozen=True):
    """An event about a repository, named as it was when the event was recorded."""

    kind: str
    name: str  # owner/name
    private: bool


class RepoCreated(RepoEvent, frozen=True):
    """A repository was created."""


class RepoDeleted(RepoEvent, frozen=True):
    """A repository was deleted."""


class RepoRenamed(RepoEvent, frozen=True):
    """A repository got another name or owner; ``name`` is the new full name."""

    old_name: str


class SettingsChanged(RepoEvent, frozen=True):
    """Settings changed; ``private`` is the new visibility, ``was_private`` the old one."""

    was_private: bool
    changed: list[str]


class RefsMoved(RepoEvent, frozen=True):
    """Branches or tags moved."""

    moves: list[tuple[str, str | None, str | None]]  # ref, old oid, new oid; None: absent
    actor: str = ""
