"""Web pages of other sites and the hub: requests that the browser of a user sends for them."""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable

import pytest
from tests.support.http import Response
from tests.support.hub import ThreadHub

FOREIGN = "https://evil.example"
PASSWORD = "correct horse battery"
CREATE = "/api/repos/create"


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.fixture(scope="module")
def authorization(embedded_hub: ThreadHub) -> dict[str, str]:
    anna = embedded_hub.user(password=PASSWORD)
    return {
        "token as password": basic("x", anna.token),
        "password": basic(anna.name, PASSWORD),
        "bearer": f"Bearer {anna.token}",
    }


def create(hub: ThreadHub, authorization: str, **headers: str) -> Response:
    """Request a repository without a name, which is 400 for callers with the right."""
    return hub.call("POST", CREATE, {}, token="", Authorization=authorization, **headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
        {"Origin": FOREIGN},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://other.localhost"},
    ],
)
def test_a_foreign_page_changes_nothing_by_credentials_that_browsers_add(
    embedded_hub: ThreadHub, authorization: dict[str, str], headers: dict[str, str]
) -> None:
    for kind, value in authorization.items():
        expected = 400 if kind == "bearer" else 403
        assert create(embedded_hub, value, **headers).status == expected, kind
    reading = {"Authorization": authorization["password"], **headers}
    assert embedded_hub.call("GET", "/api/whoami-v2", token="", **reading).status == 200
    body = {"username": "anna", "password": PASSWORD}
    signing_in = embedded_hub.call("POST", "/api/login", body, token="", **headers)
    assert signing_in.status == 403
    by_cookie = embedded_hub.call("POST", CREATE, {}, token="", Cookie="session=x", **headers)
    assert by_cookie.status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://HOST"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://HOST"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://HOST"},
    ],
)
def test_the_hubs_own_pages_and_programs_use_any_credentials(
    embedded_hub: ThreadHub, authorization: dict[str, str], headers: dict[str, str]
) -> None:
    own = f"127.0.0.1:{embedded_hub.port}"
    headers = {name: value.replace("HOST", own) for name, value in headers.items()}
    for value in authorization.values():
        assert create(embedded_hub, value, **headers).status == 400
    body = {"username": "nobody", "password": "wrong"}
    assert embedded_hub.call("POST", "/api/login", body, token="", **headers).status == 401


def test_foreign_pages_read_public_content_and_use_their_own_tokens(
    embedded_hub: ThreadHub,
) -> None:
    anna = embedded_hub.user()
    repo = anna.repo()
    headers = {"Origin": FOREIGN, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    target = f"/api/models/{repo}/paths-info/main"
    for token in ("", anna.token):
        response = embedded_hub.call("POST", target, {"paths": []}, token=token, **headers)
        assert response.status == 200
        assert response.headers["access-control-allow-origin"] == FOREIGN
    assert embedded_hub.call("POST", "/oauth/token", {}, token="", **headers).status == 501


def test_browsers_get_no_challenge_for_a_password_and_git_does(embedded_hub: ThreadHub) -> None:
    repo = embedded_hub.user().repo(private=True)
    addresses = {
        f"/{repo}/info/refs?service=git-upload-pack": True,
        f"/{repo}.git/info/lfs/locks/verify": True,
        f"/api/models/{repo}": False,
        f"/{repo}/resolve/main/a": False,
        f"/{repo}": False,
        "/api/whoami-v2": False,
    }
    for address, challenged in addresses.items():
        method = "POST" if address.endswith("verify") else "GET"
        response = embedded_hub.call(method, address, token="")
        shown = embedded_hub.call(method, address, token="", Sec_Fetch_Mode="no-cors")
        assert response.status == shown.status == 401, address
        assert ("www-authenticate" in response.headers) == challenged
        assert "www-authenticate" not in shown.headers


def test_only_listed_origins_read_where_they_are_listed(own_hub: Callable[..., ThreadHub]) -> None:
    hub = own_hub(cors_origins=("https://app.example",), hosts=("hub.example", "127.0.0.1"))
    for origin, allowed in (("https://app.example", True), (FOREIGN, False)):
        for method in ("GET", "OPTIONS"):
            response = hub.call(method, "/api/models", Origin=origin)
            assert response.headers.get("access-control-allow-origin") == (
                origin if allowed else None
            )
    assert hub.call("GET", "/api/models", Host="hub.example:80").status == 200
    assert hub.call("GET", "/api/models", Host="HUB.example").status == 200
    for host in ("evil.example", "hub.example.evil", "", "[::1"):
        assert hub.call("GET", "/api/models", Host=host).status == 421, host
        assert hub.call("GET", "/healthz", Host=host).status == 200
    assert "no host" not in hub.call("GET", "/readyz", Host="10.0.0.7").body.decode()


def test_the_metrics_may_need_a_token(own_hub: Callable[..., ThreadHub]) -> None:
    hub = own_hub(metrics_token="s3cret")
    admin = hub.user()
    for wrong in ("", "s3cre", "s3crets", admin.token):
        assert hub.call("GET", "/metrics", token=wrong).status == 401
    assert hub.call("GET", "/metrics", token="s3cret").status == 200


def test_every_response_forbids_guesses_of_its_type(embedded_hub: ThreadHub) -> None:
    for address in (
        "/",
        "/metrics",
        "/healthz",
        "/api/models",
        "/api/none",
        "/static/hubstead.css",
    ):
        response = embedded_hub.call("GET", address)
        assert response.headers["x-content-type-options"] == "nosniff", address
    with socket.create_connection(("127.0.0.1", embedded_hub.port), timeout=60) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\n\r\n")
        refused = wire.recv(65536)
    assert refused.startswith(b"HTTP/1.1 400 ")
    assert b"x-content-type-options: nosniff\r\n" in refused


def test_shared_caches_check_within_the_hour_whether_a_file_is_public(
    embedded_hub: ThreadHub,
) -> None:
    anna = embedded_hub.user()
    repo = anna.repo()
    sha = anna.call("GET", f"/api/models/{repo}").json["sha"]
    response = embedded_hub.call("GET", f"/{repo}/resolve/{sha}/.gitattributes")
    rules = response.headers["cache-control"].split(", ")
    assert "immutable" in rules
    assert "s-maxage=3600" in rules
    assert "Origin" in response.headers["vary"]


def test_cursors_of_lists_show_no_numbers_of_rows(embedded_hub: ThreadHub) -> None:
    anna = embedded_hub.user()
    for name in ("a", "b", "c"):
        anna.repo(name)
    address = f"/api/models?author={anna.name}&limit=1"
    seen, cursors = [], set()
    for _ in range(3):
        response = embedded_hub.call("GET", address)
        seen.append(response.json[0]["id"])
        if "link" not in response.headers:
            break
        link = response.headers["link"].partition(">")[0][1:]
        address = link.partition(str(embedded_hub.port))[2]
        cursor = link.partition("cursor=")[2].partition("&")[0]
        assert b"createdAt" not in base64.urlsafe_b64decode(cursor.split(".")[1] + "==")
        cursors |= {cursor, _cursor_of(embedded_hub, anna.name)}
    assert sorted(seen) == [anna.path(name) for name in ("a", "b", "c")]
    assert len(cursors) == 4  # no cursor is issued twice, so that none can be compared
    for wrong in ("x", cursor[:-1] + "A", cursor[1:]):
        response = embedded_hub.call("GET", f"/api/models?cursor={wrong}")
        assert response.status == 400


def _cursor_of(hub: ThreadHub, author: str) -> str:
    link = hub.call("GET", f"/api/models?author={author}&limit=1").headers["link"]
    return link.partition("cursor=")[2].partition(">")[0].partition("&")[0]
