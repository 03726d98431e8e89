"""The operations of a commit, collected before the commit is written.

Contents go into the pack draft as they arrive, so a commit of many files takes little memory.
What depends on the tip of the branch (copies, sizes of pointers) is resolved by `commit`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from hubstead.admission import Lane, run_in_lane
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
from hubstead.settings import CommitSettings

#: Contents above this are hashed and compressed in a thread.
_INLINE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class PutLfsPointer:
    """The file at the path becomes a pointer to an LFS object; ``size`` None: look it up."""

    key: BlobKey
    size: int | None
    mode: FileMode | None = None  # None: as in ``PutFile``
    mode_of: str | None = None
    text: bytes | None = None  # the pointer as the client sent it


@dataclass(frozen=True, slots=True)
class CopyEntry:
    """The path becomes a copy of the file or folder ``source`` at ``revision``."""

    source: str
    revision: str | None  # None: the parent of the commit


@dataclass(frozen=True, slots=True)
class RemoveTree(RemoveEntry):
    """Remove the folder or file at the path."""


Operation = PutFile | PutLfsPointer | CopyEntry | RemoveEntry


@dataclass
class Changeset:
    """Operations in the order of the request.

    As a context manager it discards the draft on exit.
    """

    draft: PackDraft
    settings: CommitSettings
    operations: list[tuple[str, Operation]] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_outcome: object) -> None:
        self.draft.discard()

    def _add(self, path: str, operation: Operation) -> None:
        limit = self.settings.max_operations
        if len(self.operations) >= limit:
            raise TooLarge(
                what="The commit", limit=limit, unit="operations", setting="max_commit_operations"
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
        """Put a file of ``content`` at ``path``.

        Args:
            path: The file.
            content: The bytes; an LFS pointer stays as sent and refers to the object it names.
            mode: Git's mode of the file; None: the mode of the file that it replaces.
            mode_of: The path whose mode the file takes if it replaces none.

        Raises:
            InvalidPath: the path, or this content at it, breaks a rule.
            TooLarge: the content exceeds ``max_regular_file_bytes``, or the operations their limit.
        """
        limit = self.settings.max_regular_file_bytes
        if len(content) > limit:
            raise TooLarge(
                what=f"The file {path}: upload it through LFS. It",
                limit=limit,
                setting="max_regular_file_bytes",
            )
        pointer = None if mode == LINK_MODE else parse_pointer(content)
        if pointer is not None:
            # `commit` checks that the repository may link the object of a hand-written pointer.
            key = BlobKey(BlobKind.LFS, pointer.oid)
            self._add(path, PutLfsPointer(key, pointer.size, mode, mode_of, content))
            return
        if mode != LINK_MODE and is_padded_pointer(content):
            raise InvalidPath(path=path, reason=PADDED_POINTER)
        self.check(path)
        if len(content) > _INLINE_BYTES:
            oid = await run_in_lane(Lane.WRITES, self.draft.blob, content)
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
        """Put the LFS object ``sha256`` of ``size`` bytes at ``path``; the rest as in ``put``.

        Raises:
            InvalidPath: the path breaks a rule.
            InvalidInput: ``sha256`` or ``size`` is malformed.
        """
        if not is_sha256(sha256):
            raise InvalidInput(reason=f"not a sha256 in lower-case hex: {sha256[:80]!r}")
        if size is not None and size < 0:
            raise InvalidInput(reason="a size must not be negative")
        self._add(path, PutLfsPointer(BlobKey(BlobKind.LFS, sha256), size, mode, mode_of))

    def copy(self, path: str, source: str, revision: str | None) -> None:
        """Copy the file or folder ``source`` at ``revision`` to ``path``."""
        self._add(path, CopyEntry(self.check(source), revision))

    def remove(self, path: str) -> None:
        """Remove the file or folder at ``path``."""
        self._add(path, RemoveEntry())

    def remove_folder(self, path: str) -> None:
        """Remove the folder at ``path``; a trailing slash is ignored."""
        self._add(path.rstrip("/"), RemoveTree())
