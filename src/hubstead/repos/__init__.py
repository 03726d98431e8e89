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
    require_right,
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
from hubstead.repos.deduplication import Deduplication, measure_deduplication
from hubstead.repos.errors import RepoExists, RepoMoved
from hubstead.repos.events import (
    RefsMoved,
    RepoCreated,
    RepoDeleted,
    RepoEvent,
    RepoRenamed,
    SettingsChanged,
)
from hubstead.repos.metadata import RepoMetadata, set_metadata
from hubstead.repos.queries import RepoDetails, event_facts, every_repo, load_details
from hubstead.repos.xet_tokens import (
    XetToken,
    cas_url,
    issue_xet_token,
    open_xet_token,
    require_proposing,
)

__all__ = [
    "Deduplication",
    "NewRepo",
    "RefsMoved",
    "Repo",
    "RepoCreated",
    "RepoDeleted",
    "RepoDetails",
    "RepoEvent",
    "RepoExists",
    "RepoMetadata",
    "RepoMoved",
    "RepoRenamed",
    "Right",
    "SettingsChange",
    "SettingsChanged",
    "XetToken",
    "allows",
    "cas_url",
    "change_settings",
    "event_facts",
    "every_repo",
    "insert_repo",
    "issue_xet_token",
    "load_details",
    "measure_deduplication",
    "move_repo",
    "name_is_free",
    "open_namespace",
    "open_repo",
    "open_repo_by_id",
    "open_repo_by_pk",
    "open_xet_token",
    "remove_repo",
    "reopen",
    "require_proposing",
    "require_right",
    "set_metadata",
    "try_open_repo_by_pk",
]
