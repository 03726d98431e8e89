"""Blobs: large immutable bytes by kind and digest, in files, in S3 or in memory.

Owns the stores, the tables of blobs, links, holds and uploads, and the deletion of blobs.
It never decides rights, and it knows neither git nor HTTP.
"""

from hubstead.blobs.consistency import (
    BlobName,
    BlobRow,
    InconsistentLink,
    blob_rows,
    inconsistent_links,
    unlinked_blobs,
    uploads_without_hold,
)
from hubstead.blobs.damage import (
    Pace,
    damaged_blobs,
    mark_damaged,
    require_unmarked,
    stored_fault,
    unmark_damaged,
)
from hubstead.blobs.deletion import delete_unreferenced
from hubstead.blobs.holds import delete_expired_holds
from hubstead.blobs.interface import (
    Blob,
    BlobFiles,
    BlobStore,
    BlobWriter,
    DirectTransfers,
    DirectUploadTarget,
    PartInfo,
    PartUploads,
    PartWriter,
    StoredBlob,
)
from hubstead.blobs.keys import MAX_PARTS, BlobKey, BlobKind, StoredKey, parse_stored, stored_key
from hubstead.blobs.lifecycle import (
    delete_pending,
    mark_reconstructable,
    mark_stored_unreferenced,
    mark_unreferenced,
    replace_bytes,
)
from hubstead.blobs.links import (
    CommittedLink,
    LfsFile,
    Link,
    LinkedBlob,
    LinkingRepo,
    committed_links,
    committed_names,
    copy_links,
    expire_holds,
    hold_blobs,
    link_blobs,
    link_temporarily,
    linked,
    linked_all,
    linked_many,
    linking_repos,
    list_lfs_links,
    release_blobs,
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
from hubstead.blobs.snapshot import SnapshotBlob, snapshot_lfs_objects, snapshot_xorb_blobs
from hubstead.blobs.stored_names import (
    new_stored_name,
    open_blob,
    open_intact,
    open_stored,
    stored_name_of,
    stored_names_of,
)
from hubstead.blobs.stores import open_blobs
from hubstead.blobs.totals import (
    DeletionTotal,
    UploadTotal,
    total_holds,
    total_plain_copies,
    total_unreferenced,
    total_uploads,
)
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
    "BlobFiles",
    "BlobKey",
    "BlobKind",
    "BlobName",
    "BlobRow",
    "BlobStore",
    "BlobWriter",
    "CommittedLink",
    "DeletionTotal",
    "DirectTransfers",
    "DirectUploadTarget",
    "InconsistentLink",
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
    "Pace",
    "PackVerifier",
    "PartInfo",
    "PartReceiver",
    "PartUploads",
    "PartWriter",
    "S3Options",
    "Sha256Verifier",
    "SnapshotBlob",
    "StoredBlob",
    "StoredKey",
    "UploadReceiver",
    "UploadTotal",
    "Verifier",
    "begin_upload",
    "blob_rows",
    "committed_links",
    "committed_names",
    "copy_links",
    "damaged_blobs",
    "delete_expired_holds",
    "delete_pending",
    "delete_plain_copies",
    "delete_unreferenced",
    "deletion_is_paused",
    "expire_holds",
    "expire_uploads",
    "hold_blobs",
    "inconsistent_links",
    "link_blobs",
    "link_new_blob",
    "link_temporarily",
    "linked",
    "linked_all",
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
    "open_intact",
    "open_stored",
    "parse_stored",
    "pause_deletion",
    "receive_part",
    "receive_upload",
    "register_blob",
    "register_reconstructable",
    "register_upload",
    "release_blobs",
    "replace_bytes",
    "require_unmarked",
    "resume_deletion",
    "snapshot_lfs_objects",
    "snapshot_xorb_blobs",
    "stored_fault",
    "stored_key",
    "stored_name_of",
    "stored_names_of",
    "stored_rows",
    "total_holds",
    "total_plain_copies",
    "total_unreferenced",
    "total_uploads",
    "unlink_blobs",
    "unlink_repo",
    "unlinked_blobs",
    "unmark_damaged",
    "uploads_without_hold",
]
