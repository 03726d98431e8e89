"""Refs: their names, and the rows that say where they point; `ref_moves` changes the rows."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, func, select

from hubstead.commits.tables import refs
from hubstead.db import Reader, any_of, indexed, scan
from hubstead.errors import LimitReached, RefUpdateFailed
from hubstead.repos import Repo

HEADS = "refs/heads/"
TAGS = "refs/tags/"
PULLS = "refs/pr/"
CONVERTS = "refs/convert/"


class RefKind(Enum):
    """The namespaces of refs; the value is the prefix of their full names."""

    BRANCH = HEADS
    TAG = TAGS
    PULL = PULLS
    CONVERT = CONVERTS
    OTHER = ""


class RefName(msgspec.Struct, frozen=True):
    """The name of a ref: its namespace, and its name in there."""

    kind: RefKind
    short: str

    @classmethod
    def parse(cls, full: str) -> RefName:
        """Parse a full name; a second prefix after that of the kind belongs to the short name."""
        kind = next(kind for kind in RefKind if full.startswith(kind.value))
        return cls(kind, full.removeprefix(kind.value))

    @classmethod
    def branch(cls, short: str) -> RefName:
        """Return the name of the branch ``short``."""
        return cls(RefKind.BRANCH, short)

    @classmethod
    def tag(cls, short: str) -> RefName:
        """Return the name of the tag ``short``."""
        return cls(RefKind.TAG, short)

    @classmethod
    def of_branch_text(cls, text: str) -> RefName:
        """Return the ref that a client names where the API has a branch.

        That is a branch (``dev``, ``refs/heads/dev``), a pull request (``refs/pr/1``) or a
        conversion (``refs/convert/parquet``, ``~parquet``); any other text is a branch's name.
        """
        name = cls.parse(_without_alias(text))
        if name.kind in (RefKind.BRANCH, RefKind.PULL, RefKind.CONVERT):
            return name
        return cls.branch(text)

    @property
    def full(self) -> str:
        """The full name: ``refs/heads/main``."""
        return self.kind.value + self.short

    @property
    def revision(self) -> str:
        """The shortest text that clients may write for it: a short name, or ``refs/pr/1``."""
        return self.short if self.kind in (RefKind.BRANCH, RefKind.TAG) else self.full


class Ref(NamedTuple):
    """A row of a ref: its full name, the object it names, and the commit behind that."""

    name: str
    oid: str
    target: str
    moved_ms: int


class RefMoved(RefUpdateFailed):
    """The reference {ref} is no longer where it was: {oid}"""

    oid: str  # where it is, or that it is gone


class RefInTheWay(RefUpdateFailed):
    """Invalid reference for a branch: {ref} and {other} cannot both exist"""

    other: str


class RefMove(msgspec.Struct, frozen=True):
    """An update of one ref from ``old`` (None: create it) to ``new`` (None: delete it)."""

    ref: str  # refs/heads/main
    old: str | None
    new: str | None
    target: str | None = None  # the commit behind ``new``, if that is a tag object


_COLUMNS = select(refs.c.name, refs.c.oid, refs.c.target, refs.c.moved_ms)
_NAMED = indexed(
    _COLUMNS.where(refs.c.repo_pk == bindparam("repo_pk"), any_of(refs.c.name, "names")), Ref
)
#: A count up to a bound: the index answers it, and no repository makes it slow.
_FIRST_REFS = select(refs.c.repo_pk).where(refs.c.repo_pk == bindparam("repo_pk"))
_COUNT = indexed(
    select(func.count().label("n")).select_from(_FIRST_REFS.limit(bindparam("most")).subquery()),
    int,
)
_ALL = scan(_COLUMNS.where(refs.c.repo_pk == bindparam("repo_pk")).order_by(refs.c.name), Ref)


async def list_refs(db: Reader, repo_pk: int) -> list[Ref]:
    """Return every ref of a repository, by name."""
    return await db.all(_ALL, repo_pk=repo_pk)


async def refs_named(db: Reader, repo_pk: int, names: Sequence[str]) -> dict[str, Ref]:
    """Return the refs that exist among these full names, by full name."""
    rows = await db.all(_NAMED, repo_pk=repo_pk, names=[name for name in names if _is_text(name)])
    return {row.name: row for row in rows}


async def require_room_for_refs(db: Reader, repo: Repo, created: int, limit: int) -> None:
    """Check that a repository may have more refs.

    Args:
        db: A reader.
        repo: The repository.
        created: How many refs a write is about to create.
        limit: The setting ``max_refs_per_repository``.

    Raises:
        LimitReached: the repository would have more than ``limit`` refs.
    """
    if created and await db.single(_COUNT, repo_pk=repo.pk, most=limit) + created > limit:
        setting = "max_refs_per_repository"
        raise LimitReached(owner=repo.full_name, limit=limit, what="refs", setting=setting)


def _is_text(name: str) -> bool:
    """Tell whether a database can store the name: no zero byte, and valid Unicode."""
    try:
        return "\0" not in name and bool(name.encode())
    except UnicodeEncodeError:
        return False


async def find_ref(db: Reader, repo_pk: int, text: str) -> Ref | None:
    """Return the branch, tag or full ref that ``text`` names, or None."""
    names = names_of(text)
    by_name = await refs_named(db, repo_pk, names)
    return next((by_name[name] for name in names if name in by_name), None)


def names_of(text: str) -> list[str]:
    """Return the full names that ``text`` may stand for, the strongest first.

    ``~parquet`` is ``refs/convert/parquet`` (protocol/hub-api.md 2.2) and nothing else: no branch
    or tag has a tilde in its name.
    """
    if (alias := _without_alias(text)) != text:
        return [alias]
    full = [text] if text.startswith("refs/") else []
    return [*full, HEADS + text, TAGS + text]


def _without_alias(text: str) -> str:
    return CONVERTS + text[1:] if text.startswith("~") and len(text) > 1 else text
