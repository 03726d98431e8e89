"""Names and digests: parsed once at the edge, trusted inside.

Rules come from ``huggingface_hub`` ``utils/_validators.py`` (repository ids), gitrepository-layout
and ``git check-ref-format`` (paths, refs), and RFC 3986 where noted.
"""

from __future__ import annotations

import re
import secrets
import time
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from hubstead.errors import InvalidName, InvalidPath

MAX_NAME_CHARS = 96
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
ZERO_OID = "0" * 40

_SEGMENT = re.compile(r"[A-Za-z0-9_.-]+")
_OID = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Kind(StrEnum):
    """The kind of a repository; the value is the singular that JSON bodies use.

    A bucket is a repository without git: names, rights, links and quotas are the same.
    """

    MODEL = "model"
    DATASET = "dataset"
    SPACE = "space"
    KERNEL = "kernel"
    BUCKET = "bucket"

    @property
    def plural(self) -> str:
        """The segment below ``/api/``: ``models``, ``datasets``, …"""
        return f"{self.value}s"

    @property
    def prefix(self) -> str:
        """The prefix of the id in web addresses: empty for models, else ``datasets/`` …"""
        return "" if self is Kind.MODEL else f"{self.plural}/"

    @classmethod
    def parse(cls, text: str) -> Kind:
        """Parse the singular or the plural of a kind that has git.

        Raises:
            InvalidName: ``text`` is neither.
        """
        for kind in GIT_KINDS:
            if text in (kind.value, kind.plural):
                return kind
        raise InvalidName(name=text, reason="the type must be model, dataset, space or kernel")

    @classmethod
    def parse_any(cls, text: str) -> Kind:
        """Parse the singular or the plural of any kind, buckets included; else as ``parse``."""
        return cls.BUCKET if text in ("bucket", "buckets") else cls.parse(text)


#: The kinds whose content is git's: refs, commits, trees.
GIT_KINDS: tuple[Kind, ...] = tuple(kind for kind in Kind if kind is not Kind.BUCKET)

#: First path segments with another meaning, which no account may have as its name
#: (protocol/hub-api.md 2.1; old clients also call ``/api/{namespace}/{name}/…`` for models).
RESERVED_NAMES = frozenset(
    """api models datasets spaces kernels buckets collections papers settings oauth login logout
    join new docs organizations users user resolve-cache uploads .well-known posts blog search
    notifications avatars static assets healthz readyz metrics repos whoami whoami-v2
    validate-yaml trending quicksearch events lfs xet cas v1 v2 agent-harnesses credentials jobs
    scheduled-jobs telemetry daily_papers models-tags-by-type datasets-tags-by-type openapi.json
    favicon.ico robots.txt tasks new-dataset new-space""".split()
)
#: The account that the first start makes. No other account may have its name.
FIRST_USER = "admin"
#: More names that no new account may have: first segments of pages to come, and what git's
#: addresses hold. Accounts that had one before it was reserved are routed as ever.
UNAVAILABLE_NAMES = RESERVED_NAMES | frozenset(
    """admin archive device discussions embed forgot invite languages licenses
    reset revoke status git info objects refs head hubstead""".split()
)


def check_repo_name(name: str) -> str:
    """Return ``name`` if it is valid for a repository.

    Raises:
        InvalidName: names the rule that ``name`` breaks.
    """
    reason = _segment_fault(name)
    if reason is None and name.casefold().endswith(".git"):
        reason = "it must not end in .git"
    if reason is None and name.casefold().endswith(".ipynb"):
        reason = "it must not end in .ipynb"
    if reason:
        raise InvalidName(name=name, reason=reason)
    return name


def check_account_name(name: str, *, by_admin: bool = False) -> str:
    """Return ``name`` if it is valid for an account.

    Sign-up accepts letters, digits and single dashes; an administrator may also use dots and
    underscores, leading underscores included.

    Raises:
        InvalidName: with the rule that it breaks.
    """
    if by_admin:
        reason = _characters_fault(name)
        if reason is None and (name.startswith(".") or name.endswith(".")):
            reason = "it must not begin or end with a dot"
        if reason is None and ".." in name:
            reason = "it must not hold two dots in a row"
        if reason is None and name.casefold().endswith(".git"):
            reason = "it must not end in .git"
    else:
        reason = _segment_fault(name)
        if reason is None and ("." in name or "_" in name):
            reason = "use letters, digits and dashes"
        if reason is None and len(name) > 42:
            reason = "it must not be longer than 42 characters"
    if reason is None and is_reserved(name):
        reason = "the name is reserved"
    if reason:
        raise InvalidName(name=name, reason=reason)
    return name


def is_reserved(name: str) -> bool:
    """Tell whether addresses need the name, so that no new account may have it."""
    return name.casefold() in UNAVAILABLE_NAMES


def account_key(name: str) -> str:
    """Return the key of an account in its unique index: the case-folded name.

    The key of an invalid name is empty and matches no account: a NUL would be an error in
    PostgreSQL, and a Kelvin sign folds to a plain k.
    """
    return "" if _characters_fault(name) else name.casefold()


def _characters_fault(text: str) -> str | None:
    if not text:
        return "it must not be empty"
    if len(text) > MAX_NAME_CHARS:
        return f"it must not be longer than {MAX_NAME_CHARS} characters"
    if not _SEGMENT.fullmatch(text):
        return "use letters, digits, '-', '_' and '.'"
    return None


def _segment_fault(text: str) -> str | None:
    fault = _characters_fault(text)
    if fault:
        return fault
    if "--" in text or ".." in text:
        return "it must not hold '--' or '..'"
    if text[0] in "-." or text[-1] in "-.":
        return "it must not start or end with '-' or '.'"
    return None


@dataclass(frozen=True, slots=True)
class RepoId:
    """The name of a repository as people write it: kind, namespace and name.

    A one-segment legacy id (``gpt2``) has an empty owner.
    """

    kind: Kind
    owner: str
    name: str

    @classmethod
    def parse(cls, kind: Kind, text: str) -> Self:
        """Read ``owner/name`` or ``name``.

        Raises:
            InvalidName: ``text`` is not a valid repository id.
        """
        owner, slash, name = text.rpartition("/")
        if (slash and _characters_fault(owner)) or _characters_fault(name):
            raise InvalidName(name=text, reason="not a repository id")
        return cls(kind, owner, name)

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}" if self.owner else self.name

    @property
    def key(self) -> str:
        """The key in the unique index of repositories: the case-folded id.

        The key of an invalid id is empty and matches no repository; see ``account_key``.
        """
        if (self.owner and _characters_fault(self.owner)) or _characters_fault(self.name):
            return ""
        return str(self).casefold()

    @property
    def web_path(self) -> str:
        """The path of its page and files below the public URL: ``datasets/acme/squad``."""
        return f"{self.kind.prefix}{self}"


def new_object_id() -> str:
    """Return 24 lower-case hex digits, the form of every ``_id`` on the wire: time, then chance."""
    return f"{int(time.time()):08x}{secrets.token_hex(8)}"


def now_ms() -> int:
    """Return the time in milliseconds since the epoch, the unit of every stored time."""
    return time.time_ns() // 1_000_000


def is_oid(text: str) -> bool:
    """Tell whether ``text`` is a full git object id (40 lower-case hex digits)."""
    return bool(_OID.fullmatch(text))


def is_sha256(text: str) -> bool:
    """Tell whether ``text`` is a sha256 in 64 lower-case hex digits."""
    return bool(_SHA256.fullmatch(text))


def fold_path(path: str) -> str:
    """Return a form that is equal for paths that a case-insensitive file system merges.

    It is the canonical caseless form of Unicode (chapter 3.13, D145).
    """
    decomposed = unicodedata.normalize("NFD", path)
    return unicodedata.normalize("NFD", decomposed.casefold())


def clash_reason(present: str, new: str) -> str:
    """Return why ``new`` is refused beside ``present``: ``fold_path`` merges them."""
    same_case = unicodedata.normalize("NFC", present) == unicodedata.normalize("NFC", new)
    difference = "the Unicode form of its characters" if same_case else "case"
    return (
        f"{present} is there already and differs only in {difference}: some file systems cannot "
        "hold both (refuse_case_clashes)"
    )


def check_path(path: str, *, max_bytes: int = 4096, max_depth: int = 64) -> str:
    """Return ``path`` if it is valid for a file of a repository.

    Args:
        path: Relative to the repository's root, ``/`` between the parts.
        max_bytes: Longest path in UTF-8 bytes (setting ``max_path_bytes``).
        max_depth: Most parts (setting ``max_path_depth``).

    Raises:
        InvalidPath: names the rule that ``path`` breaks. The rules are those of git's index
            (``verify_path``) on all platforms, so that a clone works on every one.
    """
    reason = _path_fault(path, max_bytes, max_depth)
    if reason:
        shown = path if len(path) <= 200 else path[:200] + "…"
        raise InvalidPath(path=shown, reason=reason)
    return path


def _path_fault(path: str, max_bytes: int, max_depth: int) -> str | None:
    if not path:
        return "it must not be empty"
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return "it must be valid UTF-8"
    if len(encoded) > max_bytes:
        return f"it must not be longer than {max_bytes} bytes (max_path_bytes)"
    # A backslash is a character, but clients' tests want no name that leaves the folder of a
    # download on Windows with its first step (protocol/hub-api.md 3.8).
    if path.startswith(("/", "..\\")):
        return "it must be relative to the repository's root"
    if any(unicodedata.category(char) == "Cc" for char in path):
        return "it must not hold control characters"
    parts = path.split("/")
    if len(parts) > max_depth:
        return f"it must not be deeper than {max_depth} folders (max_path_depth)"
    for part in parts:
        if part in ("", ".", ".."):
            return "no part may be empty, '.' or '..'"
        if len(part.encode()) > 255:
            return "no part may be longer than 255 bytes"
        # To git a backslash separates folders where the file system is NTFS (is_ntfs_dotgit).
        if any(_is_dot_git(piece) for piece in part.split("\\")):
            return "no part may be '.git'"
    return None


# Code points that HFS+ ignores when it compares names (git's utf8.c, next_hfs_char).
_HFS_IGNORED = dict.fromkeys(
    [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF]
)


def _is_dot_git(part: str) -> bool:
    name = part.translate(_HFS_IGNORED).casefold()
    name = name.partition(":")[0].rstrip(" .")  # NTFS streams and trailing dots and blanks
    return name in (".git", "git~1")


def check_branch_name(name: str) -> str:
    """Return ``name`` if it is valid for a branch or tag (``git check-ref-format``).

    Raises:
        InvalidName: the text is one that clients' tests match.
    """
    fault = (
        not name
        or len(name.encode("utf-8", "surrogateescape")) > 250
        or is_oid(name.lower())
        or name in ("HEAD", "@")
        or name.startswith(("refs/", "/", "-"))
        or name.endswith(("/", ".", ".lock"))
        or any(bad in name for bad in ("..", "//", "@{", "/.", ".lock/"))
        or name.startswith(".")
        or any(char in " ~^:?*[\\" or ord(char) < 32 or ord(char) == 127 for char in name)
        or any(0xD800 <= ord(char) < 0xE000 for char in name)
    )
    if fault:
        raise InvalidName(name=name, reason=f"Invalid reference for a branch: {name}")
    return name
