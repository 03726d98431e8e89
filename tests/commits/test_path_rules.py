"""The rules for paths, shared by every write."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hubstead.commits.path_rules import PathRules
from hubstead.errors import InvalidPath
from hubstead.ids import check_path

LIMITS = st.tuples(st.integers(1, 300), st.integers(1, 5))
PATHS = st.one_of(
    st.text(alphabet="ab._-/ ~\\\0é\ud800", max_size=12),
    st.lists(st.integers(0, 300).map(lambda n: "x" * n), max_size=7).map("/".join),
    st.sampled_from([".git", "a/.git", "git~1", "a\n", "a..", "-x", "_/_"]),
)


def reason_of(check: object, path: object) -> str | None:
    assert callable(check)
    try:
        check(path)
    except InvalidPath as error:
        return error.reason
    return None


@given(PATHS, LIMITS)
@example("x" * 255, (300, 1))
@example("x" * 256, (300, 1))
@example("a/a/a", (5, 3))
@example("a/a/a", (5, 2))
@example("a/a/a", (4, 3))
def test_the_regular_expression_accepts_no_path_that_a_rule_forbids(
    path: str, limits: tuple[int, int]
) -> None:
    max_bytes, max_depth = limits
    rules = PathRules(max_bytes=max_bytes, max_depth=max_depth)
    reason = reason_of(lambda p: check_path(p, max_bytes=max_bytes, max_depth=max_depth), path)
    assert reason_of(rules.check, path) == reason
    encoded = path.encode("utf-8", "surrogatepass")
    assert reason_of(rules.check_bytes, encoded) == reason


def test_bytes_that_are_not_utf8_are_not_a_path() -> None:
    with pytest.raises(InvalidPath, match="UTF-8"):
        PathRules(max_bytes=100, max_depth=3).check_bytes(b"a\xff")
