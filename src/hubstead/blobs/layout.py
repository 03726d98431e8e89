"""Where everything lies, in a folder as in a bucket.

::

    <root>/
      lfs/ab/cd/abcd…48     LFS objects, by a name made by chance
      pack/ab/cd/abcd…48    git packs, by a name made by chance
      xorb/ab/cd/abcd…64    xorbs, by a name made by chance
      lfs/ab/cd/abcd…64     LFS objects of earlier releases, by sha256
      pack/ab/cd/abcd…40    git packs of earlier releases, by git's name for them
      incoming/<random>     blobs being written; nobody reads them
        direct-<random>     S3: sent by a client; empty once it has been dealt with
      uploads/<id>/         an upload in parts
        whole               files: all parts, each at its offset
        part-00001-…        files: an empty marker, "this part is in `whole`, durably";
                            S3: the part itself
        done-lfs-abcd…64-ef…48  assembled: the blob exists, under the second name

Two levels of 256 keep folders small: a million blobs are 16 to a folder. No part of a path is
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
    """Return where a blob lies."""
    return f"{key.kind}/{key.name[:2]}/{key.name[2:4]}/{key.name}"


def blob_key(kind: BlobKind, path: str) -> StoredKey | None:
    """Return which blob lies at ``path``, or None if that is no place for one of the kind."""
    try:
        key = parse_stored(kind, path.rpartition("/")[2])
    except InvalidInput:
        return None
    return key if blob_path(key) == path else None


def upload_path(upload: str) -> str:
    """Return the folder of an upload.

    Raises:
        InvalidInput: if that is no id of an upload.
    """
    return f"{UPLOADS}/{check_upload(upload)}"


def part_name(number: int) -> str:
    """Return the name of a part in its upload's folder."""
    return f"part-{check_part_number(number):05}"


def part_number(name: str) -> int | None:
    """Return which part is called ``name``, if any."""
    match = _PART.fullmatch(name)
    return int(match[1]) if match else None


@dataclass(frozen=True, slots=True)
class PartMarker:
    """Says in its name which bytes of `WHOLE` are a part received durably."""

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
        """Read a name; None if it is not one of a marker."""
        match = _MARKER.fullmatch(name)
        return cls(int(match[1]), int(match[2]), int(match[3]), match[4]) if match else None


def done_name(key: BlobKey, place: StoredKey) -> str:
    """Return the name of what says that an upload has become ``key``, stored at ``place``."""
    whole = f"{DONE}{key.kind}-{key.name}"
    return whole if place == key else f"{whole}-{place.name}"


def done_place(name: str, key: BlobKey) -> StoredKey | None:
    """Return where the blob lies that an upload became; None if it became another one.

    Args:
        name: What `done_name` gave.
        key: The blob that the upload ought to have become.
    """
    whole, _, stored = name.removeprefix(f"{DONE}{key.kind}-").partition("-")
    if whole != key.name:
        return None
    return stored_key(key, stored or None)
