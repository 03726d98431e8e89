"""A change being gathered: operations in, edits of a tree out.

Contents go into the pack draft as they arrive, so a commit of many files takes little memory;
what depends on the tip of the branch (copies, pointers' sizes) is settled when it is applied.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Self

from hubstead.blobs import BlobKey, BlobKind
from hubstead.commits.path_rules import PathRules
from hubstead.commits.rules import PADDED_POINTER
from hubstead.errors import InvalidInput, InvalidPath, TooLarge
from hubstead.gitstore import (
    LINK_MODE,
    FileMode,
    PackDraft,
    PutFile,
    RemoveEntry,
    is_padded_pointer,
    parse_pointer,
)
from hubstead.ids import is_sha256
from hubstead.settings import Settings

#: Contents above this are hashed and compressed in a thread.
_INLINE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class PutLfsPointer:
    """The file at the path becomes a pointer to an LFS object; its size may be left to us."""

    key: BlobKey
    size: int | None
    mode: FileMode | None = None  # None: as ``PutFile`` has it
    mode_of: str | None = None
    text: bytes | None = None  # as it was sent, if it was


@dataclass(frozen=True, slots=True)
class CopyEntry:
    """The file or folder at the path becomes what ``source`` is at ``revision``."""

    source: str
    revision: str | None  # None: the tip that the commit goes onto


@dataclass(frozen=True, slots=True)
class RemoveTree(RemoveEntry):
    """The folder at the path goes; a file there as well."""


Operation = PutFile | PutLfsPointer | CopyEntry | RemoveEntry


@dataclass
class Changeset:
    """Operations in the order in which they were asked for.

    Used as a context, what was not committed leaves nothing.
    """

    draft: PackDraft
    settings: Settings
    operations: list[tuple[str, Operation]] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_outcome: object) -> None:
        self.draft.discard()

    def _add(self, path: str, operation: Operation) -> None:
        most = self.settings.commits.max_operations
        if len(self.operations) >= most:
            raise TooLarge(
                what="The commit", limit=most, unit="operations", setting="max_commit_operations"
            )
        self.operations.append((self.check(path), operation))

    def check(self, path: str) -> str:
        """Return ``path`` if a file may have it.

        Raises:
            InvalidPath: if not.
        """
        return PathRules.of(self.settings).check(path)

    async def put(
        self,
        path: str,
        content: bytes,
        *,
        mode: FileMode | None = None,
        mode_of: str | None = None,
    ) -> None:
        """Make the file at ``path`` hold ``content``, as git itself keeps it.

        Args:
            path: Where.
            content: The bytes; those of an LFS pointer stay, and mean the object it names.
            mode: Git's mode of the file; None for that of the file in its place.
            mode_of: The path whose mode the file takes if there is none in its place.

        Raises:
            InvalidPath: no file may be there, or not this one.
            TooLarge: the content belongs into LFS, or there are too many operations.
        """
        limit = self.settings.commits.max_regular_file_bytes
        if len(content) > limit:
            raise TooLarge(
                what=f"The file {path}: upload it through LFS. It",
                limit=limit,
                setting="max_regular_file_bytes",
            )
        pointer = None if mode == LINK_MODE else parse_pointer(content)
        if pointer is not None:
            # Written by hand, it must not lead to bytes that the repository was never given.
            key = BlobKey(BlobKind.LFS, pointer.oid)
            self._add(path, PutLfsPointer(key, pointer.size, mode, mode_of, content))
            return
        if mode != LINK_MODE and is_padded_pointer(content):
            raise InvalidPath(path=path, reason=PADDED_POINTER)
        self.check(path)
        if len(content) > _INLINE_BYTES:
            oid = await asyncio.to_thread(self.draft.blob, content)
        else:
            oid = self.draft.blob(content)
        self._add(path, PutFile(oid, mode, mode_of))

    def put_pointer(
        self,
        path: str,
        sha256: str,
        size: int | None,
        *,
        mode: FileMode | None = None,
        mode_of: str | None = None,
    ) -> None:
        """Make the file at ``path`` the LFS object ``sha256`` of ``size`` bytes; see ``put``.

        Raises:
            InvalidPath: no file may be there.
            InvalidInput: no sha256, or no size.
        """
        if not is_sha256(sha256):
            raise InvalidInput(reason=f"not a sha256 in lower-case hex: {sha256[:80]!r}")
        if size is not None and size < 0:
            raise InvalidInput(reason="a size must not be negative")
        self._add(path, PutLfsPointer(BlobKey(BlobKind.LFS, sha256), size, mode, mode_of))

    def copy(self, path: str, source: str, revision: str | None) -> None:
        """Make ``path`` what ``source`` is at ``revision``."""
        self._add(path, CopyEntry(self.check(source), revision))

    def remove(self, path: str) -> None:
        """Remove the file or folder at ``path``."""
        self._add(path, RemoveEntry())

    def remove_folder(self, path: str) -> None:
        """Remove the folder at ``path``; a last slash may stand there."""
        self._add(path.rstrip("/"), RemoveTree())
