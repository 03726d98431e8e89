"""Git objects in bare repositories on this node's disk; knows no users, no HTTP, no refs."""

from hubstead.gitstore.attributes import Attributes, Ignores
from hubstead.gitstore.bounded import Bounded
from hubstead.gitstore.draft import Pack, PackDraft, Person
from hubstead.gitstore.folding import Weight, to_fold
from hubstead.gitstore.history import Commit
from hubstead.gitstore.listing import LINK_MODE, FileMode, file_mode
from hubstead.gitstore.missing import ObjectMissing, RepoMissing
from hubstead.gitstore.pointer import Pointer, is_padded_pointer
from hubstead.gitstore.pointer import parse as parse_pointer
from hubstead.gitstore.processes import GitOutput
from hubstead.gitstore.programs import GitFailed, GitProgram
from hubstead.gitstore.repo import Entry, GitRepo
from hubstead.gitstore.staging import Limits, PackRefused, Pushed, Registered, Staging
from hubstead.gitstore.store import GitStore
from hubstead.gitstore.templates import GITATTRIBUTES
from hubstead.gitstore.trees import Edit, PutFile, PutTree, Remove, edit_tree

__all__ = [
    "GITATTRIBUTES",
    "LINK_MODE",
    "Attributes",
    "Bounded",
    "Commit",
    "Edit",
    "Entry",
    "FileMode",
    "GitFailed",
    "GitOutput",
    "GitProgram",
    "GitRepo",
    "GitStore",
    "Ignores",
    "Limits",
    "ObjectMissing",
    "Pack",
    "PackDraft",
    "PackRefused",
    "Person",
    "Pointer",
    "Pushed",
    "PutFile",
    "PutTree",
    "Registered",
    "Remove",
    "RepoMissing",
    "Staging",
    "Weight",
    "edit_tree",
    "file_mode",
    "is_padded_pointer",
    "parse_pointer",
    "to_fold",
]
