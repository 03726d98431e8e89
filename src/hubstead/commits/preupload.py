"""The choice, before an upload, between a regular file and an LFS file."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from hubstead.commits.name_clashes import check_new_paths
from hubstead.commits.path_rules import PathRules
from hubstead.commits.rules import is_lfs_size
from hubstead.errors import InvalidCandidate, InvalidPath, TooLarge
from hubstead.gitstore import Attributes, Entry, GitRepo, Ignores
from hubstead.settings import CommitSettings, LfsSettings

ATTRIBUTES = ".gitattributes"
IGNORES = ".gitignore"
#: Binary content up to this size may stay in git.
BINARY_BYTES = 64 * 1024
MAX_RULES_BYTES = 1 << 20


class UploadCandidate(msgspec.Struct, frozen=True):
    """A file that a client is about to upload."""

    path: str
    size: int
    sample: bytes = b""  # its first bytes


class UploadMode(msgspec.Struct, frozen=True):
    """The upload mode of one file."""

    path: str
    by_lfs: bool
    ignored: bool
    oid: str | None  # of the present file: git's id, or the sha256 of an LFS file


def choose_upload_modes(
    git: GitRepo,
    tree: str | None,
    candidates: list[UploadCandidate],
    settings: CommitSettings,
    lfs: LfsSettings,
    *,
    attributes: str | None = None,
    ignores: str | None = None,
) -> list[UploadMode]:
    """Choose the upload mode of each file, as the Hub does (protocol/hub-api.md 3.8).

    Args:
        git: The repository's objects.
        tree: The tree of the parent commit; None if there is none.
        candidates: The files.
        settings: The limits of paths.
        lfs: The size from which a file is an LFS file.
        attributes: The ``.gitattributes`` of the same commit, instead of the one in ``tree``.
        ignores: Likewise ``.gitignore``.

    Raises:
        InvalidCandidate: a path breaks a rule.
        TooLarge: there are too many files for the lines with wildcards.
    """
    try:
        check_upload_paths(git, tree, [candidate.path for candidate in candidates], settings)
    except InvalidPath as error:
        raise InvalidCandidate(path=error.path, reason=error.reason) from None
    folders = {""} | {
        "/".join(parts[:count])
        for parts in (candidate.path.split("/") for candidate in candidates)
        for count in range(1, len(parts))
    }
    filters = Attributes(_texts(git, tree, folders, ATTRIBUTES, attributes))
    ignored = Ignores(_texts(git, tree, folders, IGNORES, ignores))
    parts = sum(candidate.path.count("/") + 1 for candidate in candidates)
    checks = filters.wildcards * len(candidates) + ignored.wildcards * parts
    if checks > settings.max_pattern_checks:
        raise TooLarge(
            what=f"The number of files times lines with wildcards in {ATTRIBUTES} and {IGNORES}",
            limit=settings.max_pattern_checks,
            unit="checks: ask for fewer files at once",
            setting="max_pattern_checks",
        )
    return [
        UploadMode(
            path=candidate.path,
            by_lfs=_by_lfs(candidate, filters, lfs),
            ignored=ignored.ignores(candidate.path),
            oid=content_id(git, git.entry(tree, candidate.path) if tree else None),
        )
        for candidate in candidates
    ]


def check_upload_paths(
    git: GitRepo, tree: str | None, paths: Iterable[str], settings: CommitSettings
) -> None:
    """Refuse paths that a commit to ``tree`` would refuse, before their bytes travel.

    Raises:
        InvalidPath: with the rule that the path breaks.
    """
    rules = PathRules.of(settings)
    checked = [rules.check(path) for path in paths]
    if settings.refuse_case_clashes:
        check_new_paths(git, tree, checked)


def _texts(
    git: GitRepo, tree: str | None, folders: set[str], name: str, sent: str | None
) -> dict[str, bytes]:
    texts = {}
    for folder in folders if tree else ():
        assert tree is not None
        entry = git.entry(tree, f"{folder}/{name}" if folder else name)
        if entry is not None and entry.type == "blob" and entry.size <= MAX_RULES_BYTES:
            texts[folder] = git.blob(entry.oid)
    if sent is not None:
        texts[""] = sent.encode()
    return texts


def _by_lfs(candidate: UploadCandidate, filters: Attributes, settings: LfsSettings) -> bool:
    if candidate.size == 0:
        return False
    if is_lfs_size(candidate.size, settings) or filters.is_lfs(candidate.path):
        return True
    return candidate.size > BINARY_BYTES and _is_binary(candidate.sample)


def _is_binary(sample: bytes) -> bool:
    if b"\0" in sample:
        return True
    try:
        sample.decode()
    except UnicodeDecodeError as error:
        return error.start < len(sample) - 3  # the sample may end inside a character
    return False


def content_id(git: GitRepo, entry: Entry | None) -> str | None:
    """Return the id that clients compare: git's id of a file, or the sha256 of an LFS file."""
    if entry is None or entry.type != "blob":
        return None
    pointer = git.blob_facts(entry.oid).pointer
    return pointer.oid if pointer else entry.oid
