"""Repositories: their names, settings and rights."""

from hubstead.repos.access import (
    Repo,
    Right,
    open_namespace,
    open_repo,
    open_repo_by_id,
    open_repo_by_pk,
    reopen,
    require,
)
from hubstead.repos.actions import (
    NewRepo,
    SettingsChange,
    change_settings,
    insert_repo,
    move_repo,
    name_is_free,
    remove_repo,
)
from hubstead.repos.derived import Derived, set_derived
from hubstead.repos.events import (
    RefsMoved,
    RepoCreated,
    RepoDeleted,
    RepoEvent,
    RepoRenamed,
    SettingsChanged,
)
from hubstead.repos.queries import Details, details, event_facts

__all__ = [
    "Derived",
    "Details",
    "NewRepo",
    "RefsMoved",
    "Repo",
    "RepoCreated",
    "RepoDeleted",
    "RepoEvent",
    "RepoRenamed",
    "Right",
    "SettingsChange",
    "SettingsChanged",
    "change_settings",
    "details",
    "event_facts",
    "insert_repo",
    "move_repo",
    "name_is_free",
    "open_namespace",
    "open_repo",
    "open_repo_by_id",
    "open_repo_by_pk",
    "remove_repo",
    "reopen",
    "require",
    "set_derived",
]
