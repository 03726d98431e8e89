"""Repositories: their names, settings and rights."""

from hubstead.repos.access import (
    Repo,
    Right,
    allows,
    open_namespace,
    open_repo,
    open_repo_by_id,
    open_repo_by_pk,
    reopen,
    require,
    try_open_repo_by_pk,
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
from hubstead.repos.deduplication import Deduplication, deduplication
from hubstead.repos.derived import Derived, set_derived
from hubstead.repos.errors import RepoExists, RepoMoved
from hubstead.repos.events import (
    RefsMoved,
    RepoCreated,
    RepoDeleted,
    RepoEvent,
    RepoRenamed,
    SettingsChanged,
)
from hubstead.repos.passes import (
    Pass,
    cas_url,
    issue,
    open_pass,
    require_proposing,
)
from hubstead.repos.queries import Details, details, event_facts, every_repo

__all__ = [
    "Deduplication",
    "Derived",
    "Details",
    "NewRepo",
    "Pass",
    "RefsMoved",
    "Repo",
    "RepoCreated",
    "RepoDeleted",
    "RepoEvent",
    "RepoExists",
    "RepoMoved",
    "RepoRenamed",
    "Right",
    "SettingsChange",
    "SettingsChanged",
    "allows",
    "cas_url",
    "change_settings",
    "deduplication",
    "details",
    "event_facts",
    "every_repo",
    "insert_repo",
    "issue",
    "move_repo",
    "name_is_free",
    "open_namespace",
    "open_pass",
    "open_repo",
    "open_repo_by_id",
    "open_repo_by_pk",
    "remove_repo",
    "reopen",
    "require",
    "require_proposing",
    "set_derived",
    "try_open_repo_by_pk",
]
