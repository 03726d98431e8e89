"""Git repositories on this node: reads, writes and repacks objects, and runs git programs.

Owns the folders of the repositories. Never touches the database; knows neither users nor HTTP.
"""

from hubstead.gitstore.attributes import Attributes, Ignores
from hubstead.gitstore.blame import BlameGroup, blame_file
from hubstead.gitstore.diffs import (
    CommitDiff,
    DiffLimits,
    DiffSide,
    FileDiff,
    diff_commits,
)
from hubstead.gitstore.errors import ObjectMissing, RepoMissing
from hubstead.gitstore.history import Commit
from hubstead.gitstore.lru_cache import LruCache
from hubstead.gitstore.merge import MergedTree, merge_commits
from hubstead.gitstore.metrics import declare_git_metrics
from hubstead.gitstore.oid_set import OidSet
from hubstead.gitstore.pack_draft import Ident, Pack, PackDraft
from hubstead.gitstore.patches import DiffLine, Hunk
from hubstead.gitstore.pointer import (
    MAX_PADDED_POINTER_BYTES,
    MIN_POINTER_BYTES,
    Pointer,
    is_padded_pointer,
)
from hubstead.gitstore.pointer import parse as parse_pointer
from hubstead.gitstore.processes import GitOutput
from hubstead.gitstore.programs import GitFailed, GitProgram
from hubstead.gitstore.reachable_pointers import reachable_pointers
from hubstead.gitstore.repack import PackSize, Repacker, packs_to_repack
from hubstead.gitstore.repo import Entry, GitRepo
from hubstead.gitstore.staging import PackRefused, PushedBlob, PushLimits, RegisteredState, Staging
from hubstead.gitstore.store import GitStore
from hubstead.gitstore.templates import GITATTRIBUTES
from hubstead.gitstore.tree_edit import Edit, PutFile, PutTree, RemoveEntry, edit_tree
from hubstead.gitstore.tree_rows import LINK_MODE, FileMode, file_mode

__all__ = [
    "GITATTRIBUTES",
    "LINK_MODE",
    "MAX_PADDED_POINTER_BYTES",
    "MIN_POINTER_BYTES",
    "Attributes",
    "BlameGroup",
    "Commit",
    "CommitDiff",
    "DiffLimits",
    "DiffLine",
    "DiffSide",
    "Edit",
    "Entry",
    "FileDiff",
    "FileMode",
    "GitFailed",
    "GitOutput",
    "GitProgram",
    "GitRepo",
    "GitStore",
    "Hunk",
    "Ident",
    "Ignores",
    "LruCache",
    "MergedTree",
    "ObjectMissing",
    "OidSet",
    "Pack",
    "PackDraft",
    "PackRefused",
    "PackSize",
    "Pointer",
    "PushLimits",
    "PushedBlob",
    "PutFile",
    "PutTree",
    "RegisteredState",
    "RemoveEntry",
    "Repacker",
    "RepoMissing",
    "Staging",
    "blame_file",
    "declare_git_metrics",
    "diff_commits",
    "edit_tree",
    "file_mode",
    "is_padded_pointer",
    "merge_commits",
    "packs_to_repack",
    "parse_pointer",
    "reachable_pointers",
]
