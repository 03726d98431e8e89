"""Xet: chunks, xorbs, shards, and files put together from them; its bytes lie in ``blobs``."""

from hubstead.xet.answers import Known, is_eligible, write_answer
from hubstead.xet.chunking import Chunker, can_compile, cut, split
from hubstead.xet.converting import Converted, Converter, plain_objects
from hubstead.xet.decoding import decode
from hubstead.xet.encoding import encode
from hubstead.xet.files import XetFile
from hubstead.xet.following import following
from hubstead.xet.hashes import (
    NO_HASH,
    chunk_hash,
    file_hash,
    keyed,
    merkle_root,
    range_hash,
    to_raw,
    to_text,
)
from hubstead.xet.incoming import IncomingXorb
from hubstead.xet.index import KnownXorb
from hubstead.xet.lookup import Found, find, hashes_of, sha256s_of
from hubstead.xet.plans import Fetch, Plan, make_plan
from hubstead.xet.reading import XetSource
from hubstead.xet.receiving import XorbReceiver, XorbRefused
from hubstead.xet.records import MAX_CHUNK_BYTES, MAX_CHUNKS, MAX_STORED_BYTES, MAX_UNPACKED_BYTES
from hubstead.xet.retiring import doom_xorbs, forget_files, retire_xorbs
from hubstead.xet.shards import FileEntry, Shard, ShardRefused, XorbEntry, parse_shard
from hubstead.xet.store import PlannedFile, XetStore
from hubstead.xet.terms import Term, Terms
from hubstead.xet.xorbs import XorbIndex

__all__ = [
    "MAX_CHUNKS",
    "MAX_CHUNK_BYTES",
    "MAX_STORED_BYTES",
    "MAX_UNPACKED_BYTES",
    "NO_HASH",
    "Chunker",
    "Converted",
    "Converter",
    "Fetch",
    "FileEntry",
    "Found",
    "IncomingXorb",
    "Known",
    "KnownXorb",
    "Plan",
    "PlannedFile",
    "Shard",
    "ShardRefused",
    "Term",
    "Terms",
    "XetFile",
    "XetSource",
    "XetStore",
    "XorbEntry",
    "XorbIndex",
    "XorbReceiver",
    "XorbRefused",
    "can_compile",
    "chunk_hash",
    "cut",
    "decode",
    "doom_xorbs",
    "encode",
    "file_hash",
    "find",
    "following",
    "forget_files",
    "hashes_of",
    "is_eligible",
    "keyed",
    "make_plan",
    "merkle_root",
    "parse_shard",
    "plain_objects",
    "range_hash",
    "retire_xorbs",
    "sha256s_of",
    "split",
    "to_raw",
    "to_text",
    "write_answer",
]
