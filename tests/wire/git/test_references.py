"""The prefixes of ``ls-refs``."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hubstead.wire.git.references import Prefixes

TEXTS = st.text("ab/é\U0001f600", max_size=5)


@given(st.lists(TEXTS), st.lists(TEXTS))
def test_a_name_is_wanted_if_it_begins_with_a_prefix(prefixes: list[str], names: list[str]) -> None:
    wanted = Prefixes(prefixes)
    for name in names:
        assert (name in wanted) == (not prefixes or name.startswith(tuple(prefixes)))


def test_many_prefixes_are_compared_with_a_name_once() -> None:
    class Name(str):
        compared = 0

        def startswith(self, *arguments: object) -> bool:
            Name.compared += 1
            return super().startswith(*arguments)  # type: ignore[arg-type]

    wanted = Prefixes(f"refs/tags/v{number}" for number in range(10_000))
    assert Name("refs/tags/v7000-rc") in wanted
    assert Name("refs/heads/main") not in wanted
    assert Name.compared <= 2
