"""The rules for paths of files that every write obeys."""

from __future__ import annotations

import re
from functools import lru_cache

from hubstead.errors import InvalidPath
from hubstead.ids import check_path
from hubstead.settings import CommitSettings

#: A path segment that is valid under any limits.
_PLAIN_PART = rb"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,254}"


class PathRules:
    """The rules of `ids.check_path` under the limits of this hub.

    One regular expression, built from the limits, accepts most paths, because a push may bring
    tens of thousands; the others are checked rule by rule, for the message.
    """

    def __init__(self, *, max_bytes: int, max_depth: int) -> None:
        self._max_bytes = max_bytes
        self._max_depth = max_depth
        self._plain = re.compile(
            rb"(?=.{1,%d}\Z)(?:%s/){0,%d}%s" % (max_bytes, _PLAIN_PART, max_depth - 1, _PLAIN_PART)
        )

    @staticmethod
    def of(settings: CommitSettings) -> PathRules:
        """Return the rules under these settings."""
        return _rules(settings.max_path_bytes, settings.max_path_depth)

    def check(self, path: str) -> str:
        """Return ``path`` if a file may have it.

        Raises:
            InvalidPath: with the rule that it breaks.
        """
        if self._plain.fullmatch(path.encode("utf-8", "surrogatepass")):
            return path
        return check_path(path, max_bytes=self._max_bytes, max_depth=self._max_depth)

    def check_bytes(self, path: bytes) -> None:
        """Refuse a path of a git tree that no client could show or check out.

        Raises:
            InvalidPath: with the rule that it breaks.
        """
        if self._plain.fullmatch(path):
            return
        try:
            text = path.decode()
        except UnicodeDecodeError:
            shown = path.decode("utf-8", "backslashreplace")
            raise InvalidPath(path=shown, reason="it must be valid UTF-8") from None
        check_path(text, max_bytes=self._max_bytes, max_depth=self._max_depth)


@lru_cache(maxsize=16)
def _rules(max_bytes: int, max_depth: int) -> PathRules:
    return PathRules(max_bytes=max_bytes, max_depth=max_depth)
