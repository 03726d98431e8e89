"""Operations in, one move of refs out: the only way the content of a repository changes."""

from hubstead.commits.applying import Committed, Message, commit, person
from hubstead.commits.branching import (
    create_branch,
    create_tag,
    delete_branch,
    delete_tag,
    squash,
)
from hubstead.commits.change import Change
from hubstead.commits.copying import FileSource, copy_file, copy_lfs_files
from hubstead.commits.creating import Wanted, create_repository, duplicate_repository
from hubstead.commits.folding import collect, fold_packs
from hubstead.commits.moving import Move, Plan, RefInTheWay, RefMoved, move_refs
from hubstead.commits.preupload import Candidate, Choice, choose, content_id
from hubstead.commits.pushing import (
    Command,
    Outcome,
    PushRefused,
    Verdict,
    accept_push,
    begin_push,
)
from hubstead.commits.removing import delete_repository, remove_dead_folders
from hubstead.commits.retired import discard_packs, forget_dead_packs, remove_dead_packs
from hubstead.commits.revisions import (
    HEADS,
    TAGS,
    Ref,
    Revision,
    all_refs,
    find_ref,
    resolve,
    split,
)
from hubstead.commits.rewriting import delete_lfs_files
from hubstead.commits.stores import RepoLocks, Stores

__all__ = [
    "HEADS",
    "TAGS",
    "Candidate",
    "Change",
    "Choice",
    "Command",
    "Committed",
    "FileSource",
    "Message",
    "Move",
    "Outcome",
    "Plan",
    "PushRefused",
    "Ref",
    "RefInTheWay",
    "RefMoved",
    "RepoLocks",
    "Revision",
    "Stores",
    "Verdict",
    "Wanted",
    "accept_push",
    "all_refs",
    "begin_push",
    "choose",
    "collect",
    "commit",
    "content_id",
    "copy_file",
    "copy_lfs_files",
    "create_branch",
    "create_repository",
    "create_tag",
    "delete_branch",
    "delete_lfs_files",
    "delete_repository",
    "delete_tag",
    "discard_packs",
    "duplicate_repository",
    "find_ref",
    "fold_packs",
    "forget_dead_packs",
    "move_refs",
    "person",
    "remove_dead_folders",
    "remove_dead_packs",
    "resolve",
    "split",
    "squash",
]
