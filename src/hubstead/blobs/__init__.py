"""Blobs: large immutable bytes by kind and digest, in files, in S3 or in memory.

Owns the stores, the tables of blobs, links, holds and uploads, and the deletion of blobs.
It never decides rights, and it knows neither git nor HTTP.
"""

from hubstead.blobs.damage import damaged_blobs, mark_damaged, unmark_damaged
from hubstead.blobs.deletion import delete_unreferenced
from hubstead.blobs.holds import delete_expired_holds
from hubstead.blobs.interface import (
    Blob,
    BlobStore,
    BlobWriter,
    DirectTransfers,
    DirectUploadTarget,
    PartInfo,
    PartWriter,
    StoredBlob,
)
from hubstead.blobs.keys import MAX_PARTS, BlobKey, BlobKind, StoredKey, parse_stored, stored_key
from hubstead.blobs.lifecycle import (
    mark_reconstructable,
    mark_stored_unreferenced,
    mark_unreferenced,
    replace_bytes,
)
from hubstead.blobs.links import (
    LfsFile,
    Link,
    LinkedBlob,
    LinkingRepo,
    copy_links,
    expire_holds,
    hold_blobs,
    link_blobs,
    link_temporarily,
    linked,
    linked_many,
    linking_repos,
    list_lfs_links,
    unlink_blobs,
    unlink_repo,
)
from hubstead.blobs.local import LocalBlob, LocalBlobs
from hubstead.blobs.memory import MemoryBlobs
from hubstead.blobs.multipart import MultipartUpload, begin_upload, expire_uploads
from hubstead.blobs.node_cache import NodeCache
from hubstead.blobs.orphans import mark_orphans, stored_rows
from hubstead.blobs.pauses import (
    deletion_is_paused,
    may_delete_blobs,
    pause_deletion,
    resume_deletion,
)
from hubstead.blobs.registration import link_new_blob, register_blob, register_upload
from hubstead.blobs.s3_options import S3Options
from hubstead.blobs.stored_names import (
    new_stored_name,
    open_blob,
    open_stored,
    stored_name_of,
    stored_names_of,
)
from hubstead.blobs.stores import open_blobs
from hubstead.blobs.uploads import (
    NewUpload,
    PartReceiver,
    UploadReceiver,
    receive_part,
    receive_upload,
)
from hubstead.blobs.verifiers import PackVerifier, Sha256Verifier, Verifier
from hubstead.blobs.xet_backed import (
    delete_plain_copies,
    register_reconstructable,
)

__all__ = [
    "MAX_PARTS",
    "Blob",
    "BlobKey",
    "BlobKind",
    "BlobStore",
    "BlobWriter",
    "DirectTransfers",
    "DirectUploadTarget",
    "LfsFile",
    "Link",
    "LinkedBlob",
    "LinkingRepo",
    "LocalBlob",
    "LocalBlobs",
    "MemoryBlobs",
    "MultipartUpload",
    "NewUpload",
    "NodeCache",
    "PackVerifier",
    "PartInfo",
    "PartReceiver",
    "PartWriter",
    "S3Options",
    "Sha256Verifier",
    "StoredBlob",
    "StoredKey",
    "UploadReceiver",
    "Verifier",
    "begin_upload",
    "copy_links",
    "damaged_blobs",
    "delete_expired_holds",
    "delete_plain_copies",
    "delete_unreferenced",
    "deletion_is_paused",
    "expire_holds",
    "expire_uploads",
    "hold_blobs",
    "link_blobs",
    "link_new_blob",
    "link_temporarily",
    "linked",
    "linked_many",
    "linking_repos",
    "list_lfs_links",
    "mark_damaged",
    "mark_orphans",
    "mark_reconstructable",
    "mark_stored_unreferenced",
    "mark_unreferenced",
    "may_delete_blobs",
    "new_stored_name",
    "open_blob",
    "open_blobs",
    "open_stored",
    "parse_stored",
    "pause_deletion",
    "receive_part",
    "receive_upload",
    "register_blob",
    "register_reconstructable",
    "register_upload",
    "replace_bytes",
    "resume_deletion",
    "stored_key",
    "stored_name_of",
    "stored_names_of",
    "stored_rows",
    "unlink_blobs",
    "unlink_repo",
    "unmark_damaged",
]
