"""Repositories as rows: their names, settings, metadata, and who may do what with them.

Owns the tables of ``repos/tables.py``; ``access.py`` alone decides rights. Never touches content
(``commits`` does) and knows no HTTP.
"""

from hubstead.repos.access import (
    DENIED,
    PUBLIC,
    REPO_COLUMNS,
    Repo,
    RepoRow,
    Right,
    allows,
    open_namespace,
    open_repo,
    open_repo_by_id,
    open_repo_by_pk,
    reopen,
    repo_from_row,
    require_author_or_writer,
    require_right,
    try_open_repo_by_pk,
    visible_repos,
)
from hubstead.repos.account_names import rename_account, rename_account_as_operator
from hubstead.repos.actions import (
    NewRepo,
    SettingsChange,
    change_settings,
    insert_repo,
    move_repo,
    name_is_free,
    remove_repo,
    require_room_for_repo,
)
from hubstead.repos.content import ContentCounters, count_content, count_like, set_head
from hubstead.repos.deduplication import Deduplication, measure_deduplication
from hubstead.repos.errors import RepoExists, RepoMoved
from hubstead.repos.events import (
    RefsMoved,
    RepoCreated,
    RepoDeleted,
    RepoEvent,
    RepoRenamed,
    SettingsChanged,
    repo_subject,
)
from hubstead.repos.metadata import RepoMetadata, set_metadata
from hubstead.repos.queries import (
    RepoDetails,
    event_facts,
    every_repo,
    find_repo,
    load_details,
    repo_ids,
    visible_details,
)
from hubstead.repos.xet_tokens import (
    XetToken,
    cas_url,
    issue_xet_token,
    open_xet_token,
)

__all__ = [
    "DENIED",
    "PUBLIC",
    "REPO_COLUMNS",
    "ContentCounters",
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
    "RepoRow",
    "Right",
    "SettingsChange",
    "SettingsChanged",
    "XetToken",
    "allows",
    "cas_url",
    "change_settings",
    "count_content",
    "count_like",
    "event_facts",
    "every_repo",
    "find_repo",
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
    "rename_account",
    "rename_account_as_operator",
    "reopen",
    "repo_from_row",
    "repo_ids",
    "repo_subject",
    "require_author_or_writer",
    "require_right",
    "require_room_for_repo",
    "set_head",
    "set_metadata",
    "try_open_repo_by_pk",
    "visible_details",
    "visible_repos",
]
