"""What happens to repositories, as others hear of it."""

from __future__ import annotations

from hubstead.outbox import Event


class RepoEvent(Event, frozen=True):
    """Every event names the repository as it was then."""

    kind: str
    name: str  # owner/name
    private: bool


class RepoCreated(RepoEvent, frozen=True):
    """A repository was made."""


class RepoDeleted(RepoEvent, frozen=True):
    """A repository is gone."""


class RepoRenamed(RepoEvent, frozen=True):
    """A repository has another name or owner: ``name`` is the new one."""

    old_name: str


class SettingsChanged(RepoEvent, frozen=True):
    """Settings changed: ``private`` says how it is now, ``was_private`` how it was."""

    was_private: bool
    changed: list[str]


class RefsMoved(RepoEvent, frozen=True):
    """Branches or tags moved: (ref, old oid or None, new oid or None) each."""

    moves: list[tuple[str, str | None, str | None]]
    actor: str = ""
