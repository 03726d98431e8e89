"""The segment router: a path is matched by its undecoded segments."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubstead.app import routes
from hubstead.errors import InvalidInput
from hubstead.http import Response
from hubstead.ids import RESERVED_NAMES, Kind, RepoId
from hubstead.wire import Access, Route, Router

ROUTER = Router(routes())
OF_REPOS = [route for route in ROUTER.routes if "{repo}" in route.pattern]


async def handler(call: object) -> Response:
    """Stand in for a handler."""
    return Response()


def router(*patterns: str) -> Router:
    return Router([Route("GET", pattern, handler, Access.OPEN) for pattern in patterns])


def match_of(table: Router, path: str) -> tuple[str, dict[str, Any]] | None:
    match = table.match(path)
    return None if match is None else (match.routes["GET"].pattern, match.captured)


def test_a_segment_is_decoded_after_the_path_is_split() -> None:
    table = router("/x/{rev}/{rest+}")
    assert match_of(table, "/x/refs%2Fpr%2F1/a%20b/c%2Fd") == (
        "/x/{rev}/{rest+}",
        {"rev": "refs/pr/1", "rest": ["a b", "c/d"]},
    )
    assert match_of(table, "/x/%252F/a") == ("/x/{rev}/{rest+}", {"rev": "%2F", "rest": ["a"]})


@pytest.mark.parametrize("segment", ["%ff", "%ed%a0%80", "a%00b", "%C3"])
def test_a_segment_that_is_not_text_is_refused(segment: str) -> None:
    for table, path in ((router("/{a}"), f"/{segment}"), (router("/{a+}"), f"/x/{segment}")):
        with pytest.raises(InvalidInput, match="the address must"):
            table.match(path)


def test_literals_win_over_kinds_and_kinds_over_captures() -> None:
    table = router("/y/{a}/x", "/y/{kinds}/x", "/y/models/x", "/y/{a}/{b}")
    assert match_of(table, "/y/models/x") == ("/y/models/x", {})
    assert match_of(table, "/y/datasets/x") == ("/y/{kinds}/x", {"kind": Kind.DATASET})
    assert match_of(table, "/y/others/x") == ("/y/{a}/x", {"a": "others"})
    assert match_of(table, "/y/models/z") == ("/y/{a}/{b}", {"a": "models", "b": "z"})


def test_a_reserved_name_is_not_captured_at_the_start_of_a_path() -> None:
    table = router("/{a}/x")
    assert match_of(table, "/anna/x") == ("/{a}/x", {"a": "anna"})
    assert match_of(table, "/API/x") is None


def test_a_dead_end_falls_back_to_the_next_choice() -> None:
    table = router("/models/a/b", "/{kinds}/{x+}")
    assert match_of(table, "/models/a/c") == (
        "/{kinds}/{x+}",
        {"kind": Kind.MODEL, "x": ["a", "c"]},
    )


def test_the_rest_is_one_segment_or_more_or_optional() -> None:
    assert match_of(router("/a/{x+}"), "/a") is None
    assert match_of(router("/a/{x*}"), "/a") == ("/a/{x*}", {})
    assert match_of(router("/a/{x*}"), "/a/b/") == ("/a/{x*}", {"x": ["b"]})


def test_slashes_at_the_end_mean_nothing_except_behind_the_path_of_a_file() -> None:
    for slashes in ("/", "//"):
        assert match_of(router("/a/{x}"), f"/a/b{slashes}") == ("/a/{x}", {"x": "b"})
        assert match_of(router("/a/{x+}"), f"/a/b/c{slashes}") == ("/a/{x+}", {"x": ["b", "c"]})
        assert match_of(router("/"), slashes) == ("/", {})
    files = Router([Route("GET", "/a/{x+}", handler, Access.OPEN, names_file=True)])
    assert match_of(files, "/a/b/c/") == ("/a/{x+}", {"x": ["b", "c", ""]})
    assert match_of(files, "/a/b/c") == ("/a/{x+}", {"x": ["b", "c"]})


def test_an_empty_segment_is_not_a_name() -> None:
    assert match_of(router("/a/{x}"), "/a/") is None
    assert match_of(router("/a/{x}/b"), "/a//b") is None


def test_kinds_are_plural_and_singular_where_declared() -> None:
    assert match_of(router("/{kinds}"), "/model") is None
    assert match_of(router("/{any_kind}"), "/model") == ("/{any_kind}", {"kind": Kind.MODEL})
    assert match_of(router("/{prefix}/{a}"), "/models/x") is None
    assert match_of(router("/{prefix}/{a}"), "/x") == ("/{prefix}/{a}", {"a": "x"})
    assert match_of(router("/{spaces}/{a}"), "/spaces/x") == (
        "/{spaces}/{a}",
        {"kind": Kind.SPACE, "a": "x"},
    )


def test_a_duplicate_route_is_an_error() -> None:
    with pytest.raises(ValueError, match="clashes"):
        router("/{prefix}/a", "/a")


@pytest.mark.parametrize(
    ("path", "pattern", "captured"),
    [
        ("/gpt2/resolve/main/a", "resolve/{rest+}", {"name": "gpt2", "rest": ["main", "a"]}),
        (
            "/anna/resolve/resolve/main/a",
            "resolve/{rest+}",
            {"namespace": "anna", "name": "resolve", "rest": ["main", "a"]},
        ),
        (
            "/datasets/anna/x/raw/main/a",
            "raw/{rest+}",
            {"kind": Kind.DATASET, "namespace": "anna", "name": "x", "rest": ["main", "a"]},
        ),
        ("/api/models/gpt2", "/api/{kinds}/{repo}", {"kind": Kind.MODEL, "name": "gpt2"}),
        (
            "/api/models/anna/tree/tree/main",
            "tree/{rest+}",
            {"kind": Kind.MODEL, "namespace": "anna", "name": "tree", "rest": ["main"]},
        ),
        (
            "/api/anna/x/upload/main/a",
            "/api/{namespace}/{name}/upload/{rest+}",
            {"namespace": "anna", "name": "x", "rest": ["main", "a"]},
        ),
    ],
)
def test_ids_of_one_and_two_segments_are_distinguished(
    path: str, pattern: str, captured: dict[str, Any]
) -> None:
    match = ROUTER.match(path)
    assert match is not None
    assert any(route.pattern.endswith(pattern) for route in match.routes.values())
    assert match.captured == captured


NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,8}[A-Za-z0-9])?", fullmatch=True)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
FREE = NAMES.filter(lambda name: name.casefold() not in RESERVED_NAMES)


@pytest.mark.parametrize("slash", ["%2F", "%2f"])
def test_an_encoded_id_is_namespace_and_name(slash: str) -> None:
    for before, behind in (
        ("/api/models/", ""),
        ("/api/models/", "/tree/refs"),
        ("/api/datasets/", "/tree/main/a%2Fb"),
        ("/api/", "/upload/main/a"),
        ("/api/", "/settings"),
        ("/api/repos/model/", "/settings"),
        ("/api/resolve-cache/models/", "/main/a"),
        ("/", ""),
        ("/", "/resolve/main/x/y"),
        ("/datasets/", ""),
        ("/datasets/", "/resolve/~parquet/a/b.parquet"),
        ("/", ".git/info/refs"),
        ("/spaces/", ".git/info/lfs/objects/batch"),
    ):
        plain = ROUTER.match(f"{before}anna/bert{behind}")
        assert plain is not None
        assert ROUTER.match(f"{before}anna{slash}bert{behind}") == plain


@pytest.mark.parametrize(
    "id_", ["anna%252Fbert", "a%2Fb%2Fc", "a%2F", "%2Fa", "a%2Fb/c", "c/a%2Fb"]
)
def test_only_one_encoded_slash_between_two_names_is_an_id(id_: str) -> None:
    for path in (f"/api/models/{id_}", f"/{id_}/resolve/main/x", f"/datasets/{id_}/info/refs"):
        match = ROUTER.match(path)
        captured = match.captured if match else {}
        owner, name = captured.get("namespace", ""), captured.get("name", "")
        assert not RepoId(Kind.MODEL, owner, name).key


@pytest.mark.parametrize("route", OF_REPOS, ids=lambda route: route.name)
def test_every_route_is_reached_for_every_repository(route: Route) -> None:
    @settings(max_examples=15, deadline=None)
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        captured: dict[str, Any] = {}

        def filled(segment: re.Match[str]) -> str:
            name = segment[1]
            if name in ("kinds", "any_kind", "prefix"):
                captured["kind"] = data.draw(st.sampled_from([Kind.DATASET, Kind.KERNEL]))
                return f"{captured['kind'].plural}"
            if name == "spaces":
                captured["kind"] = Kind.SPACE
                return "spaces"
            if name == "repo":
                captured["namespace"], captured["name"] = data.draw(FREE), data.draw(NAMES)
                slash = data.draw(st.sampled_from(["/", "%2F"]))
                return f"{captured['namespace']}{slash}{captured['name']}"
            if segment[2]:
                captured[name] = data.draw(st.lists(TEXTS, min_size=1, max_size=3))
                return "/".join(quote(segment, safe="") for segment in captured[name])
            captured[name] = data.draw(TEXTS)
            return quote(captured[name], safe="")

        match = ROUTER.match(re.sub(r"\{(\w+)([+*]?)\}", filled, route.pattern))
        assert match is not None
        if route in match.routes.values():
            assert match.captured == captured
        else:  # a literal segment has the drawn value
            assert route.pattern.count("{") > 2

    holds()


def test_every_address_of_an_account_name_is_reserved() -> None:
    firsts = {route.pattern.split("/")[1] for route in routes()}
    below_api = {
        route.pattern.split("/")[2] for route in routes() if route.pattern.startswith("/api/")
    }
    literal = {name for name in firsts | below_api if name and "{" not in name}
    assert literal <= RESERVED_NAMES
