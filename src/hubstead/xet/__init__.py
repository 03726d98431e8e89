"""Content-addressed storage of files as chunks in xorbs, by the rules of the Xet protocol.

The room owns the rows of xorbs, of the files that consist of them, of chunks that clients query,
and of epochs; room ``blobs`` stores the bytes. It never decides who may see a file or a chunk.
"""

from hubstead.xet.chunker import Chunker, can_compile, chunk_lengths, iterate_chunks
from hubstead.xet.consistency import (
    FileTotal,
    InconsistentObject,
    InconsistentXorb,
    inconsistent_objects,
    inconsistent_xorbs,
    total_files_without_object,
    unused_xorb_blobs,
)
from hubstead.xet.conversion import ConvertedObject, Converter, plain_objects
from hubstead.xet.decoder import decode_records
from hubstead.xet.dedup_shards import KnownChunks, is_eligible, write_dedup_shard
from hubstead.xet.encoder import encode_record
from hubstead.xet.expiry import begin_epoch, outlived_since, settling_seconds, unknown_since
from hubstead.xet.files import XetFile, chunk_users, find_file
from hubstead.xet.hashes import (
    NO_HASH,
    chunk_hash,
    file_hash,
    keyed_hash,
    merkle_root,
    range_hash,
    to_raw,
    to_text,
)
from hubstead.xet.index import KnownXorb, find_xorb, was_uploaded, xorbs_containing
from hubstead.xet.lfs_objects import LfsObject, find_lfs_object, sha256s_of_files, xet_hashes
from hubstead.xet.neighbours import following_xorbs
from hubstead.xet.plans import ReconstructionPlan, XorbRange, make_plan
from hubstead.xet.reader import XetSource
from hubstead.xet.records import (
    MAX_CHUNK_BYTES,
    MAX_CHUNKS,
    MAX_STORED_BYTES,
    MAX_UNPACKED_BYTES,
    Buffer,
)
from hubstead.xet.shards import (
    MAX_SHARD_TERMS,
    FileEntry,
    Shard,
    ShardRefused,
    XorbEntry,
    parse_shard,
)
from hubstead.xet.snapshot import BLOB_IS_OF_XORB, SnapshotXorb, snapshot_xorbs
from hubstead.xet.store import PlannedFile, XetStore
from hubstead.xet.terms import Term, Terms
from hubstead.xet.unreferenced import delete_unreferenced_files, quarantine_xorbs, release_xorbs
from hubstead.xet.usage import Usage, hub_usage, terms_bytes, usage_of, usage_of_all
from hubstead.xet.verification import XorbVerifier, verify_xorb
from hubstead.xet.xorb_parser import XorbParser, XorbRefused
from hubstead.xet.xorb_upload import XorbUpload
from hubstead.xet.xorbs import XorbIndex

__all__ = [
    "BLOB_IS_OF_XORB",
    "MAX_CHUNKS",
    "MAX_CHUNK_BYTES",
    "MAX_SHARD_TERMS",
    "MAX_STORED_BYTES",
    "MAX_UNPACKED_BYTES",
    "NO_HASH",
    "Buffer",
    "Chunker",
    "ConvertedObject",
    "Converter",
    "FileEntry",
    "FileTotal",
    "InconsistentObject",
    "InconsistentXorb",
    "KnownChunks",
    "KnownXorb",
    "LfsObject",
    "PlannedFile",
    "ReconstructionPlan",
    "Shard",
    "ShardRefused",
    "SnapshotXorb",
    "Term",
    "Terms",
    "Usage",
    "XetFile",
    "XetSource",
    "XetStore",
    "XorbEntry",
    "XorbIndex",
    "XorbParser",
    "XorbRange",
    "XorbRefused",
    "XorbUpload",
    "XorbVerifier",
    "begin_epoch",
    "can_compile",
    "chunk_hash",
    "chunk_lengths",
    "chunk_users",
    "decode_records",
    "delete_unreferenced_files",
    "encode_record",
    "file_hash",
    "find_file",
    "find_lfs_object",
    "find_xorb",
    "following_xorbs",
    "hub_usage",
    "inconsistent_objects",
    "inconsistent_xorbs",
    "is_eligible",
    "iterate_chunks",
    "keyed_hash",
    "make_plan",
    "merkle_root",
    "outlived_since",
    "parse_shard",
    "plain_objects",
    "quarantine_xorbs",
    "range_hash",
    "release_xorbs",
    "settling_seconds",
    "sha256s_of_files",
    "snapshot_xorbs",
    "terms_bytes",
    "to_raw",
    "to_text",
    "total_files_without_object",
    "unknown_since",
    "unused_xorb_blobs",
    "usage_of",
    "usage_of_all",
    "verify_xorb",
    "was_uploaded",
    "write_dedup_shard",
    "xet_hashes",
    "xorbs_containing",
]
