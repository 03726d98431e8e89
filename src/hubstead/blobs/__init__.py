"""Bytes by kind and name, in files, in S3 or in memory: written once, visible when whole."""

from hubstead.blobs.damage import damaged_blobs, mark_damaged, unmark_damaged
from hubstead.blobs.deletion import (
    delete_doomed,
    is_paused,
    may_delete,
    pause_deletion,
    resume_deletion,
)
from hubstead.blobs.durable import make_folder, sync_folder
from hubstead.blobs.folding import accept_files, delete_folded, fold
from hubstead.blobs.interface import (
    Blob,
    BlobStore,
    BlobWriter,
    DirectUpload,
    PartInfo,
    PartWriter,
    Stored,
)
from hubstead.blobs.keys import MAX_PARTS, BlobKey, BlobKind, StoredKey, parse_stored, stored_key
from hubstead.blobs.links import (
    LfsFile,
    Link,
    LinkedBlob,
    LinkingRepo,
    accept_upload,
    doom,
    end_holds,
    give,
    held,
    held_many,
    hold_many,
    holders,
    link,
    link_from,
    link_new,
    list_lfs,
    register,
    unlink,
    unlink_all,
)
from hubstead.blobs.local import LocalBlob, LocalBlobs
from hubstead.blobs.memory import MemoryBlobs
from hubstead.blobs.node_cache import NodeCache
from hubstead.blobs.opening import open_blobs
from hubstead.blobs.s3_options import S3Options
from hubstead.blobs.stored_names import (
    doom_stored,
    new_place,
    open_blob,
    open_stored,
    place_of,
    places_of,
    replace_bytes,
)
from hubstead.blobs.strays import doom_unregistered, stored_rows
from hubstead.blobs.uploads import Upload, begin_upload, drop_expired
from hubstead.blobs.verifiers import PackVerifier, Sha256Verifier, Verifier

__all__ = [
    "MAX_PARTS",
    "Blob",
    "BlobKey",
    "BlobKind",
    "BlobStore",
    "BlobWriter",
    "DirectUpload",
    "LfsFile",
    "Link",
    "LinkedBlob",
    "LinkingRepo",
    "LocalBlob",
    "LocalBlobs",
    "MemoryBlobs",
    "NodeCache",
    "PackVerifier",
    "PartInfo",
    "PartWriter",
    "S3Options",
    "Sha256Verifier",
    "Stored",
    "StoredKey",
    "Upload",
    "Verifier",
    "accept_files",
    "accept_upload",
    "begin_upload",
    "damaged_blobs",
    "delete_doomed",
    "delete_folded",
    "doom",
    "doom_stored",
    "doom_unregistered",
    "drop_expired",
    "end_holds",
    "fold",
    "give",
    "held",
    "held_many",
    "hold_many",
    "holders",
    "is_paused",
    "link",
    "link_from",
    "link_new",
    "list_lfs",
    "make_folder",
    "mark_damaged",
    "may_delete",
    "new_place",
    "open_blob",
    "open_blobs",
    "open_stored",
    "parse_stored",
    "pause_deletion",
    "place_of",
    "places_of",
    "register",
    "replace_bytes",
    "resume_deletion",
    "stored_key",
    "stored_rows",
    "sync_folder",
    "unlink",
    "unlink_all",
    "unmark_damaged",
]
