"""Resolution of revisions (a branch, a tag, a sha, ``HEAD``) to commits."""

from __future__ import annotations

import msgspec

from hubstead.commits.refs import HEADS, RefKind, RefName, find_ref, names_of, refs_named
from hubstead.db import Reader
from hubstead.errors import RevisionNotFound
from hubstead.gitstore import GitRepo, ObjectMissing
from hubstead.ids import is_oid
from hubstead.repos import Repo

SHORTEST_SHA = 7
#: The most segments of a ref in a raw path.
_DEEPEST_REF = 16


class Revision(msgspec.Struct, frozen=True):
    """A resolved revision."""

    text: str  # as the caller wrote it
    commit: str  # 40 hex
    ref: str | None = None  # the full name, if the revision is a ref

    @property
    def branch(self) -> str | None:
        """The branch's short name, if the revision is a branch."""
        name = RefName.parse(self.ref) if self.ref else None
        return name.short if name and name.kind is RefKind.BRANCH else None

    @property
    def is_fixed(self) -> bool:
        """Tell whether it names the same commit for ever."""
        return self.ref is None


async def resolve_revision(db: Reader, repo: Repo, git: GitRepo, text: str) -> Revision:
    """Resolve a revision: the default branch, a branch, a tag, a full ref, a sha of 7 to 40 digits.

    A full sha is a commit's and never a ref's; a ref wins over a short sha, a branch over a tag.

    Raises:
        RevisionNotFound: the revision is none of these.
    """
    if is_full_sha(text):
        return Revision(text, _commit_of(git, text.lower(), repo))
    if text == "HEAD":
        text = repo.default_branch
    if text == repo.default_branch and repo.head:
        return Revision(text, repo.head, HEADS + text)
    ref = await find_ref(db, repo.pk, text)
    if ref is not None:
        return Revision(text, ref.target, ref.name)
    if oid := commit_of_short_sha(git, text):
        return Revision(text, oid)
    raise RevisionNotFound(revision=text, repo=repo.full_name)


def is_full_sha(text: str) -> bool:
    """Tell whether ``text`` is 40 hex digits; git reads both cases."""
    return is_oid(text.lower())


def commit_of_short_sha(git: GitRepo, text: str) -> str | None:
    """Return the one commit that ``text``, 7 to 39 hex digits of either case, abbreviates."""
    return git.find_short(text.lower()) if len(text) >= SHORTEST_SHA else None


def _commit_of(git: GitRepo, oid: str, repo: Repo) -> str:
    try:
        if git.has(oid):
            return git.peel(oid)
    except ObjectMissing:
        pass
    raise RevisionNotFound(revision=oid, repo=repo.full_name)


async def split_revision(
    db: Reader, repo: Repo, git: GitRepo, segments: list[str]
) -> tuple[str, str]:
    """Divide ``refs/pr/1/dir/file`` into revision and path where slashes of both are raw.

    The rule of protocol/hub-api.md 2.2. Python clients encode the slashes of a revision and never
    those of a path, so the first segment is the revision if it names anything at all: a ref like
    ``main/dir`` cannot take the place of a folder, nor one like ``<sha>/dir`` that of a commit's.
    If it names nothing, the longest ref that the text begins with is the revision: Python clients
    up to 0.8.1 and the JavaScript client do not encode revisions.

    Args:
        db: The database.
        repo: The repository.
        git: The objects of the repository.
        segments: Decoded segments; one with a decoded ``%2F`` is a whole revision.

    Returns:
        (revision, path); the path may be empty.
    """
    if not segments:
        return "", ""
    first = segments[0]
    count = 1
    if len(segments) > 1 and not _is_whole(repo, first):
        count = await _count_of_revision(db, repo.pk, git, segments)
    return "/".join(segments[:count]), "/".join(segments[count:])


def _is_whole(repo: Repo, first: str) -> bool:
    """Tell without a look at the refs that the first segment is the revision.

    A full sha is one whether or not the commit is there: the address never means another.
    """
    return "/" in first or first in ("HEAD", repo.default_branch) or is_full_sha(first)


async def _count_of_revision(db: Reader, repo_pk: int, git: GitRepo, segments: list[str]) -> int:
    texts = ["/".join(segments[:count]) for count in range(1, min(len(segments), _DEEPEST_REF) + 1)]
    named = await refs_named(db, repo_pk, [name for text in texts for name in names_of(text)])
    counts = [count for count, text in enumerate(texts, 1) if named.keys() & set(names_of(text))]
    if segments[0] == "refs":
        return counts[-1] if counts else 3
    if counts and counts[0] > 1 and commit_of_short_sha(git, segments[0]):
        return 1
    if 1 in counts or not counts:
        return 1
    return counts[-1]
