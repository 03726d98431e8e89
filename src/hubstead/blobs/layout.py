"""The paths of a blob store, the same in a folder and in a bucket.

::

    <root>/
      lfs/ab/cd/abcd…48     LFS objects, by random name
      pack/ab/cd/abcd…48    git packs, by random name
      xorb/ab/cd/abcd…64    xorbs, by random name
      lfs/ab/cd/abcd…64     LFS objects of earlier releases, by sha256
      pack/ab/cd/abcd…40    git packs of earlier releases, by git's name
      incoming/<random>     blobs being written; never read
        direct-<random>     S3: sent by a client; empty after `DirectTransfers.adopt`
      uploads/<id>/         a multipart upload
        whole               files: all parts at their offsets
        part-00001-…        files: an empty marker, "this part is in `whole`, durably";
                            S3: the part itself
        done-lfs-abcd…64-ef…48  assembled: the blob exists under the second name

Two levels of 256 folders bound their size: a million blobs make 16 per folder. No part of a path is
empty, ``.`` or longer than 255 bytes, since some S3 servers take no such keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hubstead.blobs.keys import (
    BlobKey,
    BlobKind,
    StoredKey,
    check_part_number,
    check_upload,
    parse_stored,
    stored_key,
)
from hubstead.errors import InvalidInput

INCOMING = "incoming"
UPLOADS = "uploads"
WHOLE = "whole"
DONE = "done-"

_MARKER = re.compile(r"part-(\d{5})-(\d+)-(\d+)-([0-9a-f]{64})")
_PART = re.compile(r"part-(\d{5})")


def blob_path(key: StoredKey) -> str:
    """Return the path of a blob."""
    return f"{key.kind}/{key.name[:2]}/{key.name[2:4]}/{key.name}"


def blob_key(kind: BlobKind, path: str) -> StoredKey | None:
    """Return the blob at ``path``, or None if a blob of the kind cannot have this path."""
    try:
        key = parse_stored(kind, path.rpartition("/")[2])
    except InvalidInput:
        return None
    return key if blob_path(key) == path else None


def upload_path(upload: str) -> str:
    """Return the folder of an upload.

    Raises:
        InvalidInput: if the id is invalid.
    """
    return f"{UPLOADS}/{check_upload(upload)}"


def part_name(number: int) -> str:
    """Return the name of a part in its upload's folder."""
    return f"part-{check_part_number(number):05}"


def part_number(name: str) -> int | None:
    """Return the number of the part with file name ``name``, or None."""
    match = _PART.fullmatch(name)
    return int(match[1]) if match else None


@dataclass(frozen=True, slots=True)
class PartMarker:
    """An empty file whose name describes a part received durably in `WHOLE`."""

    number: int
    offset: int
    size: int
    etag: str

    @property
    def name(self) -> str:
        """The name of the marker's file."""
        return f"{part_name(self.number)}-{self.offset}-{self.size}-{self.etag}"

    @classmethod
    def parse(cls, name: str) -> PartMarker | None:
        """Parse a file name; return None if it is not a marker's."""
        match = _MARKER.fullmatch(name)
        return cls(int(match[1]), int(match[2]), int(match[3]), match[4]) if match else None


def done_name(key: BlobKey, place: StoredKey) -> str:
    """Return the file name of the mark that an upload became ``key``, stored as ``place``."""
    whole = f"{DONE}{key.kind}-{key.name}"
    return whole if place == key else f"{whole}-{place.name}"


def done_place(name: str, key: BlobKey) -> StoredKey | None:
    """Return the stored name of the blob that an upload became; None if it is another blob.

    Args:
        name: The result of `done_name`.
        key: The blob that the caller expects.
    """
    whole, _, stored = name.removeprefix(f"{DONE}{key.kind}-").partition("-")
    if whole != key.name:
        return None
    return stored_key(key, stored or None)
