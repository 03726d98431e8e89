"""Writes to the content of repositories: each write adds objects and moves refs in one transaction.

Owns refs, packs and the folders of deleted repositories, and the rules that every write obeys.
Never decides a right (``repos`` does) and knows no HTTP.
"""

from hubstead.commits.branches import (
    create_branch,
    create_tag,
    delete_branch,
    delete_tag,
    squash,
)
from hubstead.commits.changeset import Changeset
from hubstead.commits.commit import CommitResult, Message, author_of, commit
from hubstead.commits.create_repo import RepoRequest, create_repository, duplicate_repository
from hubstead.commits.delete_repo import (
    count_deleted_repos,
    delete_repository,
    list_deleted_repos,
    remove_deleted_repos,
)
from hubstead.commits.history_rewrite import delete_lfs_files
from hubstead.commits.lfs_copy import FileSource, copy_file, copy_lfs_files
from hubstead.commits.metadata import derive_metadata
from hubstead.commits.owner_bytes import require_room_for_bytes
from hubstead.commits.packs import (
    PackRow,
    RepoPack,
    SnapshotPack,
    count_retired_packs,
    every_pack,
    list_packs,
    packs_older_than,
    repos_of_snapshot_pack,
    retired_pack_names,
    snapshot_packs,
)
from hubstead.commits.preupload import (
    UploadCandidate,
    UploadMode,
    check_upload_paths,
    choose_upload_modes,
    content_id,
)
from hubstead.commits.push import (
    PushRefused,
    PushReport,
    RefCommand,
    RefResult,
    accept_push,
    begin_push,
)
from hubstead.commits.reachability import Reachability, sees_unreachable
from hubstead.commits.ref_updates import (
    CommitSubject,
    PullRefs,
    RefOpener,
    WritePlan,
    add_usage,
    move_refs,
    open_pull_ref,
)
from hubstead.commits.refs import (
    HEADS,
    PULLS,
    TAGS,
    Ref,
    RefInTheWay,
    RefKind,
    RefMove,
    RefMoved,
    RefName,
    find_ref,
    list_refs,
)
from hubstead.commits.repack import repack_reachable, repack_repo
from hubstead.commits.retired import delete_retired_rows, discard_packs, remove_retired_packs
from hubstead.commits.retries import retrying
from hubstead.commits.revisions import Revision, resolve_revision, split_revision
from hubstead.commits.storage import RepoLocks, Storage

__all__ = [
    "HEADS",
    "PULLS",
    "TAGS",
    "Changeset",
    "CommitResult",
    "CommitSubject",
    "FileSource",
    "Message",
    "PackRow",
    "PullRefs",
    "PushRefused",
    "PushReport",
    "Reachability",
    "Ref",
    "RefCommand",
    "RefInTheWay",
    "RefKind",
    "RefMove",
    "RefMoved",
    "RefName",
    "RefOpener",
    "RefResult",
    "RepoLocks",
    "RepoPack",
    "RepoRequest",
    "Revision",
    "SnapshotPack",
    "Storage",
    "UploadCandidate",
    "UploadMode",
    "WritePlan",
    "accept_push",
    "add_usage",
    "author_of",
    "begin_push",
    "check_upload_paths",
    "choose_upload_modes",
    "commit",
    "content_id",
    "copy_file",
    "copy_lfs_files",
    "count_deleted_repos",
    "count_retired_packs",
    "create_branch",
    "create_repository",
    "create_tag",
    "delete_branch",
    "delete_lfs_files",
    "delete_repository",
    "delete_retired_rows",
    "delete_tag",
    "derive_metadata",
    "discard_packs",
    "duplicate_repository",
    "every_pack",
    "find_ref",
    "list_deleted_repos",
    "list_packs",
    "list_refs",
    "move_refs",
    "open_pull_ref",
    "packs_older_than",
    "remove_deleted_repos",
    "remove_retired_packs",
    "repack_reachable",
    "repack_repo",
    "repos_of_snapshot_pack",
    "require_room_for_bytes",
    "resolve_revision",
    "retired_pack_names",
    "retrying",
    "sees_unreachable",
    "snapshot_packs",
    "split_revision",
    "squash",
]
