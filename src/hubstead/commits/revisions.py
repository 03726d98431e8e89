"""From what people write (a branch, a tag, a sha, ``HEAD``) to a commit."""

from __future__ import annotations

import msgspec
from sqlalchemy import bindparam, select

from hubstead.commits.tables import refs
from hubstead.db import Reader, Row, any_of, point, scan
from hubstead.errors import RevisionNotFound
from hubstead.gitstore import GitRepo, ObjectMissing
from hubstead.ids import is_oid
from hubstead.repos import Repo

HEADS = "refs/heads/"
TAGS = "refs/tags/"
SHORTEST_SHA = 7

_NAMED = point(
    select(refs.c.name, refs.c.oid, refs.c.target).where(
        refs.c.repo_pk == bindparam("repo_pk"), any_of(refs.c.name, "names")
    )
)
_ALL = scan(
    select(refs.c.name, refs.c.oid, refs.c.target)
    .where(refs.c.repo_pk == bindparam("repo_pk"))
    .order_by(refs.c.name)
)


class Revision(msgspec.Struct, frozen=True):
    """A revision that was found."""

    text: str  # as the caller wrote it
    commit: str  # 40 hex
    ref: str | None = None  # the full name of the ref it is, if it is one

    @property
    def branch(self) -> str | None:
        """The branch's short name, if the revision is a branch."""
        return self.ref.removeprefix(HEADS) if self.ref and self.ref.startswith(HEADS) else None

    @property
    def is_fixed(self) -> bool:
        """Tell whether it names the same commit for ever."""
        return self.ref is None


async def resolve(db: Reader, opened: Repo, git: GitRepo, text: str) -> Revision:
    """Find a revision: the default branch, a branch, a tag, a full ref, a sha of 7 to 40 digits.

    A branch wins over a tag of the same name.

    Raises:
        RevisionNotFound: if it is none of these.
    """
    if text == "HEAD":
        text = opened.default_branch
    if text == opened.default_branch and opened.head:
        return Revision(text, opened.head, HEADS + text)
    if is_oid(text):
        if git.has(text):
            return Revision(text, _commit_of(git, text, opened))
    else:
        found = await find_ref(db, opened.pk, text)
        if found is not None:
            return Revision(text, found.target, found.name)
        if len(text) >= SHORTEST_SHA and (oid := git.find_short(text)):
            return Revision(text, oid)
    raise RevisionNotFound(revision=text, repo=opened.full_name)


def _commit_of(git: GitRepo, oid: str, opened: Repo) -> str:
    try:
        return git.peel(oid)
    except ObjectMissing:
        raise RevisionNotFound(revision=oid, repo=opened.full_name) from None


async def find_ref(db: Reader, repo_pk: int, text: str) -> Row | None:
    """Return (name, oid, target) of the branch, tag or full ref that ``text`` names, or None."""
    names = [HEADS + text, TAGS + text]
    if text.startswith("refs/"):
        names.append(text)
    if "\0" in text:
        return None  # PostgreSQL would refuse even to look for it
    rows = await db.all(_NAMED, repo_pk=repo_pk, names=names)
    by_name = {row.name: row for row in rows}
    return next((by_name[name] for name in names if name in by_name), None)


async def all_refs(db: Reader, repo_pk: int) -> list[Row]:
    """Return (name, oid, target) of every ref, by name."""
    return await db.all(_ALL, repo_pk=repo_pk)


async def split(db: Reader, repo_pk: int, segments: list[str]) -> tuple[str, str]:
    """Divide ``refs/pr/1/dir/file`` into revision and path where slashes of both are raw.

    Clients up to 0.8.1 and the JavaScript one put revisions into paths as they are. The longest
    known ref wins; else the first segment is the revision.

    Args:
        db: The database.
        repo_pk: The repository.
        segments: Decoded segments; one that was sent with ``%2F`` is a whole revision already.

    Returns:
        (revision, path); the path is empty if nothing is left.
    """
    if not segments:
        return "", ""
    if len(segments) > 1 and "/" not in segments[0]:
        most = min(len(segments), 16)
        texts = ["/".join(segments[:count]) for count in range(most, 1, -1)]
        names = [prefix + text for text in texts for prefix in (HEADS, TAGS)]
        names += [text for text in texts if text.startswith("refs/")]
        rows = await db.all(_NAMED, repo_pk=repo_pk, names=names)
        known = {row.name for row in rows}
        for count, text in zip(range(most, 1, -1), texts, strict=True):
            if known & {HEADS + text, TAGS + text, text}:
                return text, "/".join(segments[count:])
        if segments[0] == "refs":
            return "/".join(segments[:3]), "/".join(segments[3:])
    return segments[0], "/".join(segments[1:])
