"""Resolution of revisions (a branch, a tag, a sha, ``HEAD``) to commits."""

from __future__ import annotations

from contextlib import suppress

import msgspec

from hubstead.accounts import Actor
from hubstead.commits.reachability import Reachability, sees_unreachable
from hubstead.commits.refs import HEADS, RefKind, RefName, find_ref, names_of, refs_named
from hubstead.commits.storage import Storage
from hubstead.errors import RevisionNotFound
from hubstead.gitstore import GitRepo, ObjectMissing
from hubstead.ids import is_oid
from hubstead.repos import Repo

SHORTEST_SHA = 7
OID_DIGITS = 40
_HEX = frozenset("0123456789abcdef")
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


async def resolve_revision(
    storage: Storage, actor: Actor, repo: Repo, git: GitRepo, text: str
) -> Revision:
    """Resolve a revision: the default branch, a branch, a tag, a full ref, a sha of 7 to 40 digits.

    A full sha is a commit's and never a ref's; a ref wins over a short sha, a branch over a tag.
    A short sha names only commits that refs reach; a full one also others, until a collection
    removes them, for callers who may write the repository.

    Raises:
        RevisionNotFound: the revision is none of these.
    """
    if is_full_sha(text):
        return Revision(text, await _commit_of(storage, actor, repo, git, text.lower()))
    if text == "HEAD":
        text = repo.default_branch
    if text == repo.default_branch and repo.head:
        return Revision(text, repo.head, HEADS + text)
    ref = await find_ref(storage.db, repo.pk, text)
    if ref is not None:
        return Revision(text, ref.target, ref.name)
    if oid := await _reached_by_short_sha(storage, repo, git, text):
        return Revision(text, oid)
    raise RevisionNotFound(revision=text, repo=repo.full_name)


def is_full_sha(text: str) -> bool:
    """Tell whether ``text`` is 40 hex digits; git reads both cases."""
    return is_oid(text.lower())


def commit_of_short_sha(git: GitRepo, text: str) -> str | None:
    """Return the one stored commit that ``text``, 7 to 39 hex digits of either case, abbreviates.

    Refs may not reach it.
    """
    return git.find_short(text.lower()) if len(text) >= SHORTEST_SHA else None


async def _reached_by_short_sha(
    storage: Storage, repo: Repo, git: GitRepo, text: str
) -> str | None:
    """Return the one commit that refs reach and ``text`` abbreviates."""
    prefix = text.lower()
    if not SHORTEST_SHA <= len(prefix) < OID_DIGITS or set(prefix) - _HEX:
        return None
    return await Reachability(storage, repo, git).find_short(prefix)


async def _commit_of(storage: Storage, actor: Actor, repo: Repo, git: GitRepo, oid: str) -> str:
    """Return the commit of a full sha, which may be that of an annotated tag."""
    if oid == repo.head:
        return oid
    # For readers a missing commit and one that no ref reaches take the same steps.
    if sees_unreachable(repo, actor) or await Reachability(storage, repo, git).has_commit(oid):
        with suppress(ObjectMissing):
            if git.has(oid):
                return git.peel(oid)
    raise RevisionNotFound(revision=oid, repo=repo.full_name)


async def split_revision(
    storage: Storage, repo: Repo, git: GitRepo, segments: list[str]
) -> tuple[str, str]:
    """Divide ``refs/pr/1/dir/file`` into revision and path where slashes of both are raw.

    The rule of protocol/hub-api.md 2.2. Python clients encode the slashes of a revision and never
    those of a path, so the first segment is the revision if it names anything at all: a ref like
    ``main/dir`` cannot take the place of a folder, nor one like ``<sha>/dir`` that of a commit's.
    If it names nothing, the longest ref that the text begins with is the revision: Python clients
    up to 0.8.1 and the JavaScript client do not encode revisions.

    Args:
        storage: The storage of content.
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
        count = await _count_of_revision(storage, repo, git, segments)
    return "/".join(segments[:count]), "/".join(segments[count:])


def _is_whole(repo: Repo, first: str) -> bool:
    """Tell without a look at the refs that the first segment is the revision.

    A full sha is one whether or not the commit is there: the address never means another.
    """
    return "/" in first or first in ("HEAD", repo.default_branch) or is_full_sha(first)


async def _count_of_revision(
    storage: Storage, repo: Repo, git: GitRepo, segments: list[str]
) -> int:
    texts = ["/".join(segments[:count]) for count in range(1, min(len(segments), _DEEPEST_REF) + 1)]
    named = await refs_named(
        storage.db, repo.pk, [name for text in texts for name in names_of(text)]
    )
    counts = [count for count, text in enumerate(texts, 1) if named.keys() & set(names_of(text))]
    if segments[0] == "refs":
        return counts[-1] if counts else 3
    if counts and counts[0] > 1 and await _reached_by_short_sha(storage, repo, git, segments[0]):
        return 1
    if 1 in counts or not counts:
        return 1
    return counts[-1]
