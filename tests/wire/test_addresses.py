"""Addresses: the hub's own name, prefixes, proxies, other methods, browsers."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from tests.support.http import Response, request
from tests.support.hub import ThreadHub
from tests.support.person import Person

ORIGIN = "https://pages.example"


@pytest.fixture
def anna(embedded_hub: ThreadHub) -> Person:
    return embedded_hub.user("anna")


def wide(person: Person) -> str:
    """Create a repository whose root has more than one page with one entry."""
    return person.repo("wide")


def next_of(hub: ThreadHub, path: str, **headers: str) -> str:
    response = hub.call("GET", f"{path}?limit=1", **headers)
    assert response.status == 200, response.body
    return response.headers["link"].partition(">")[0][1:].partition("?")[0]


# -- links -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:PORT", "127.0.0.1:1", "127.0.0.1", "localhost@evil:PORT", ""],
)
def test_a_foreign_host_is_in_no_link(embedded_hub: ThreadHub, anna: Person, host: str) -> None:
    sent = {"Host": host.replace("PORT", str(embedded_hub.port))}
    response = anna.call("POST", "/api/repos/create", {"name": "bert"}, **sent)
    assert response.json["url"] == f"{embedded_hub.url}/{anna.path('bert')}"
    again = anna.call("POST", "/api/repos/create", {"name": "bert"}, **sent)
    assert again.json["url"] == response.json["url"]
    servers = str(embedded_hub.call("GET", "/api/openapi.json", **sent).json["servers"])
    assert embedded_hub.url in servers


@pytest.mark.parametrize("host", ["127.0.0.1:PORT", "localhost:PORT", "LOCALHOST:PORT"])
def test_names_of_this_machine_are_preserved_in_links(
    embedded_hub: ThreadHub, anna: Person, host: str
) -> None:
    host = host.replace("PORT", str(embedded_hub.port))
    response = anna.call("POST", "/api/repos/create", {"name": "bert"}, Host=host)
    assert response.json["url"] == f"http://{host}/{anna.path('bert')}"


def test_a_public_url_with_a_prefix_is_served_with_and_without_it(
    own_hub: Callable[..., ThreadHub],
) -> None:
    hub = own_hub(public_url="https://hub.example/models-of/us")
    anna = hub.user()
    public = "https://hub.example/models-of/us"
    for number, prefix in enumerate(("", "/models-of/us", "/models-of/us/")):
        response = anna.call("POST", f"{prefix}/api/repos/create", {"name": f"r{number}"})
        assert response.json["url"] == f"{public}/{anna.path(f'r{number}')}"
        repo = anna.path(f"r{number}")
        anna.commit(repo, {"key": "file", "value": {"path": "a", "content": ""}})
        assert anna.call("GET", f"{prefix}/{repo}/resolve/main/a").status == 200
        tree = f"/api/models/{repo}/tree/main"
        assert next_of(hub, prefix + tree) == public + tree
        anna.call("POST", "/api/repos/move", {"fromRepo": repo, "toRepo": f"{repo}-new"})
        moved = anna.call("GET", f"{prefix}{tree}?x=1")
        assert moved.status == 307
        assert moved.headers["location"] == f"/models-of/us/api/models/{repo}-new/tree/main?x=1"
        missing = hub.call("GET", f"{prefix}/api/none")
        assert missing.headers["content-type"].startswith("application/json")
        assert hub.call("GET", prefix or "/").status == 200
    assert hub.call("GET", "/models-of/usa/api/models").status == 404


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/api/models/{old}/refs", "/api/models/{new}/refs"),
        ("//api/models/{old}/refs", "/api/models/{new}/refs"),
        ("///{old}/resolve/main/a", "/{new}/resolve/main/a"),
        ("/{old}/resolve/main/a%2Fb%20c", "/{new}/resolve/main/a%2Fb%20c"),
        ("/{encoded}/resolve/main/{old}", "/{new}/resolve/main/{old}"),
        ("/{upper}/raw/main/a", "/{new}/raw/main/a"),
        ("/api/models/{one_segment}/refs", "/api/models/{new}/refs"),
        ("/{one_segment}.git/info/lfs/locks", "/{new}.git/info/lfs/locks"),
        ("/{old}.git/info/lfs/locks", "/{new}.git/info/lfs/locks"),
        ("/api/{old}/settings", None),
        ("/api/repos/model/{old}/settings", None),
    ],
)
def test_an_old_name_is_replaced_only_in_its_place(
    anna: Person, path: str, location: str | None
) -> None:
    old, new = anna.repo("old"), anna.path("new")
    anna.call("POST", "/api/repos/move", {"fromRepo": old, "toRepo": new})
    names = {
        "old": old,
        "new": new,
        "upper": old.upper(),
        "encoded": old.replace("old", "%6Fl%64"),
        "one_segment": old.replace("/", "%2f"),
    }
    method = "PUT" if path.endswith("settings") else "GET"
    response = anna.call(method, path.format_map(names))
    assert response.status == 307
    wanted = (location or path.replace("old", "new")).format_map(names)
    assert response.headers["location"] == wanted


RESERVED = "a,b;c<d>e\"f'g[h](i)!$&*+=:@^`{|}"


def test_links_and_locations_encode_every_reserved_character(
    embedded_hub: ThreadHub, anna: Person
) -> None:
    old, new = anna.repo("old"), anna.path("new")
    for name in ("1", "2"):
        line = {"key": "file", "value": {"path": f"{RESERVED}/{name}", "content": ""}}
        assert anna.commit(old, line).status == 200
    for sent in (RESERVED, quote(RESERVED, safe="")):
        page = anna.call("GET", f"/api/models/{old}/tree/main/{sent}?limit=1&x=a,b>")
        link = page.headers["link"]
        following, _, behind = link.removeprefix("<").partition(">")
        assert behind == '; rel="next"'
        path, _, query = following.removeprefix(embedded_hub.url).partition("?")
        assert path == f"/api/models/{old}/tree/main/{quote(RESERVED, safe='')}"
        assert not set(query) & set(",;<>\"'[]()")
        assert anna.call("GET", f"{path}?{query}").json[0]["path"] == f"{RESERVED}/2"
    anna.call("POST", "/api/repos/move", {"fromRepo": old, "toRepo": new})
    moved = anna.call("GET", f"/{old}/resolve/a%2fb/{RESERVED}/1?x=%20<a>&y")
    assert moved.headers["location"] == (
        f"/{new}/resolve/a%2Fb/{quote(RESERVED, safe='')}/1?x=%20%3Ca%3E&y"
    )


@pytest.mark.parametrize(
    "path",
    [
        "/api/whoami-v2",
        "/api/models",
        "/api/models/{repo}",
        "/api/models/{repo}/refs",
        "/api/models/{repo}/revision/main",
        "/api/models/{repo}/tree/main",
        "/api/models/{repo}/tree/main/folder",
        "/api/models/{repo}/commits/main",
        "/api/tasks",
        "/{repo}",
        "/{repo}/tree/main",
        "/{repo}/tree/main/folder",
        "/{repo}/blob/main/folder/file",
        "/{repo}/commits/main",
        "/{name}",
    ],
)
def test_slashes_at_the_end_of_an_address_change_nothing(
    embedded_hub: ThreadHub, anna: Person, path: str
) -> None:
    repo = anna.repo()
    anna.commit(repo, {"key": "file", "value": {"path": "folder/file", "content": ""}})
    path = path.format(repo=repo, name=anna.name)
    plain = anna.call("GET", path)
    assert plain.status == 200
    for slashes in ("/", "//"):
        response = anna.call("GET", path + slashes)
        assert (response.status, response.body) == (200, plain.body)


def test_a_slash_behind_a_file_names_no_file(anna: Person) -> None:
    repo = anna.repo()
    anna.commit(repo, {"key": "file", "value": {"path": "folder/file", "content": ""}})
    sha = anna.api.model_info(repo).sha
    for door in (
        f"/{repo}/resolve/main",
        f"/{repo}/raw/main",
        f"/api/resolve-cache/models/{repo}/{sha}",
    ):
        assert anna.call("GET", f"{door}/folder/file").status == 200
        missing = anna.call("GET", f"{door}/folder/file/")
        assert (missing.status, missing.code) == (404, "EntryNotFound")
    created = anna.call("POST", "/api/repos/create/", {"name": "slash"})
    assert created.json["name"] == anna.path("slash")


def test_tasks_are_described_and_recommend_nothing(anna: Person) -> None:
    tasks = anna.call("GET", "/api/tasks").json
    assert tasks["text-classification"]["widgetModels"] == []
    assert {task["id"] for task in tasks.values()} == set(tasks)


# -- proxies -----------------------------------------------------------------------------------


def test_only_trusted_proxies_set_the_address_of_a_client(
    own_hub: Callable[..., ThreadHub],
) -> None:
    for trusted, scheme in (((), "http"), (("127.0.0.1/32",), "https")):
        hub = own_hub(trusted_proxies=trusted)
        anna = hub.user()
        sent = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
        response = anna.call("POST", "/api/repos/create", {"name": "a"}, **sent)
        assert response.json["url"] == f"{scheme}://127.0.0.1:{hub.port}/{anna.path('a')}"
        odd = anna.call("GET", "/api/whoami-v2", **{"X-Forwarded-Proto": "gopher"})
        assert odd.json["avatarUrl"].startswith("http://127.0.0.1")


def test_password_guesses_are_counted_by_the_address_from_trusted_proxies(
    own_hub: Callable[..., ThreadHub],
) -> None:
    hub = own_hub(trusted_proxies=("127.0.0.0/8", "10.0.0.0/8"), sign_in_attempts=2)

    def guess(number: int, chain: str) -> Response:
        body = {"username": f"nobody-{number}", "password": "x"}
        return hub.call("POST", "/api/login", body, **{"X-Forwarded-For": chain})

    first = [guess(n, "1.2.3.4, 10.0.0.1").status for n in range(40)]
    assert 429 in first
    limited = guess(99, "1.2.3.4")
    assert limited.status == 429
    assert int(limited.headers["retry-after"]) > 0
    assert "t=" in limited.headers["ratelimit"]
    assert guess(100, "1.2.3.4, 5.6.7.8").status == 401  # addresses from the client are ignored


# -- methods, browsers, ids --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PATCH", "/api/models", 405),
        ("DELETE", "/api/whoami-v2", 405),
        ("HEAD", "/api/repos/create", 405),
        ("GET", "/api/none/of/the/kind/there/is/here", 404),
        ("GET", "/api/", 404),
        ("POST", "/api/none", 404),
        ("LOCK", "/api/models", 405),
    ],
)
def test_unknown_routes_and_methods_are_json_errors(
    embedded_hub: ThreadHub, method: str, path: str, status: int
) -> None:
    response = embedded_hub.call(method, path)
    assert response.status == status
    assert response.code is None
    assert response.message
    if method != "HEAD":
        assert response.headers["content-type"].startswith("application/json")
        assert response.json["error"]
    if status == 405:
        assert response.headers["allow"]


def test_a_browser_of_another_origin_may_call_and_read(embedded_hub: ThreadHub) -> None:
    request_headers = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization,content-type,x-request-id",
    }
    before = embedded_hub.call("OPTIONS", "/api/models/a/b/settings", **request_headers)
    assert before.status == 204
    allowed = before.headers["access-control-allow-headers"].split(",")
    assert {"authorization", "content-type", "range", "x-request-id"} <= set(allowed)
    assert "PUT" in before.headers["access-control-allow-methods"]
    for path in ("/api/models", "/api/models/none/none", "/none/none/resolve/main/a", "/api/none"):
        response = embedded_hub.call("GET", path, Origin=ORIGIN)
        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert "Origin" in response.headers["vary"]
        exposed = response.headers["access-control-expose-headers"].split(",")
        assert {"X-Error-Code", "X-Error-Message", "X-Repo-Commit", "Link", "ETag"} <= set(exposed)
        assert "access-control-allow-credentials" not in response.headers
    assert "access-control-allow-origin" not in embedded_hub.call("GET", "/api/models").headers


def test_a_trace_id_is_appended_to_the_hub_s(embedded_hub: ThreadHub) -> None:
    for path in ("/api/models", "/api/none", "/healthz"):
        response = embedded_hub.call("GET", path, **{"X-Amzn-Trace-Id": "abc-123"})
        assert response.headers["x-request-id"].startswith("Root=1-")
        assert response.headers["x-request-id"].endswith(";abc-123")
    one, two = (embedded_hub.call("GET", "/healthz").headers["x-request-id"] for _ in range(2))
    assert one != two


def test_a_request_retains_the_id_of_its_client(embedded_hub: ThreadHub) -> None:
    for path in ("/api/models", "/api/none", "/healthz"):
        response = embedded_hub.call("GET", path, **{"X-Request-Id": "abc-123"})
        assert response.headers["x-request-id"] == "abc-123"


@pytest.mark.parametrize("name", ["X-Amzn-Trace-Id", "X-Request-Id"])
def test_an_invalid_id_of_a_client_is_ignored(embedded_hub: ThreadHub, name: str) -> None:
    odd = embedded_hub.call("GET", "/healthz", **{name: "a b<script>"})
    assert odd.headers["x-request-id"].startswith("Root=1-")
    assert "script" not in odd.headers["x-request-id"]


@pytest.mark.parametrize(
    "path",
    [
        "/healthz",
        "/readyz",
        "/api/models",
        "/api/openapi.json",
        "/api/models/none/none",
        "/api/none",
        "/",
        "/none/none/resolve/main/a",
    ],
)
def test_head_is_get_without_the_body(embedded_hub: ThreadHub, path: str) -> None:
    get, head = (embedded_hub.call(method, path) for method in ("GET", "HEAD"))
    for response in (get, head):
        response.headers.pop("date")
        response.headers.pop("x-request-id")
    if get.status >= 400:  # a client would parse a body with the type JSON, and there is none
        assert get.headers.pop("content-type").startswith("application/json")
    assert (head.status, head.headers, head.body) == (get.status, get.headers, b"")
    assert get.body


def test_a_success_has_no_error_headers(embedded_hub: ThreadHub, anna: Person) -> None:
    repo = anna.repo()
    for path in (f"/api/models/{repo}", f"/{repo}/resolve/main/.gitattributes", "/api/models"):
        response = embedded_hub.call("GET", path)
        assert response.status == 200
        assert not {"x-error-code", "x-error-message"} & response.headers.keys()


def test_the_port_in_links_is_the_bound_one(embedded_hub: ThreadHub) -> None:
    document = request(embedded_hub.port, "GET", "/.well-known/openapi.json").json
    assert document["servers"] == [{"url": embedded_hub.url}]
    assert json.dumps(document["paths"]).count("/api/models") > 3
