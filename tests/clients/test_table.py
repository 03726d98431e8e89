"""The table of 2021 as written, and its webhook, over HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.clients.hub import ANNA, ORG, PASSWORD, PopulatedHub
from tests.support.processes import wait_until
from tests.webhooks.receiver import Receiver, receiving

CARD = b"---\npipeline_tag: text-classification\ntags:\n- table\n---\n# Bert\n"
CONFIG = b'{"model_type": "bert"}'


def ask(
    hub: PopulatedHub,
    method: str,
    path: str,
    body: Any = None,
    *,
    by: str | None = ANNA,
    token: str | None = None,
) -> tuple[int, Any]:
    """Send a request and return the status and the parsed body."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    headers = {} if isinstance(body, bytes) else {"Content-Type": "application/json"}
    if token or by:
        headers["Authorization"] = f"Bearer {token or hub.tokens[by or '']}"
    request = urllib.request.Request(hub.url + path, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            text = response.read()
            return response.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


@pytest.fixture(scope="module", autouse=True)
def bert(hub: PopulatedHub) -> Iterator[str]:
    """``anna/table``, public, with a card and a config."""
    status, repo = ask(hub, "POST", "/api/repos/create", {"name": "table"})
    assert (status, repo["url"]) == (200, f"{hub.url}/anna/table")
    for path, content in (("README.md", CARD), ("config.json", CONFIG)):
        assert ask(hub, "POST", f"/api/models/anna/table/upload/main/{path}", content)[0] == 200
    yield "anna/table"
    assert (
        ask(hub, "DELETE", "/api/repos/delete", {"name": "table", "organization": ANNA})[0] == 200
    )


def test_models_are_listed_filtered_sorted_and_cut(hub: PopulatedHub) -> None:
    query = [
        ("filter", "table"),
        ("filter", "text-classification"),
        ("sort", "lastModified"),
        ("direction", "-1"),
        ("limit", "5"),
        ("full", "True"),
        ("config", "True"),
    ]
    status, listed = ask(hub, "GET", f"/api/models?{urlencode(query)}", by=None)
    assert status == 200
    (model,) = listed
    assert model["modelId"] == "anna/table"
    assert {"rfilename": "config.json"} in model["siblings"]
    assert model["config"]["model_type"] == "bert"


def test_a_model_is_returned_at_its_tip_and_at_a_revision(hub: PopulatedHub) -> None:
    status, tip = ask(hub, "GET", "/api/models/anna/table", by=None)
    assert status == 200
    for revision in ("main", tip["sha"]):
        status, model = ask(hub, "GET", f"/api/models/anna/table/revision/{revision}", by=None)
        assert (status, model["sha"]) == (200, tip["sha"])


def test_stored_files_are_listed(hub: PopulatedHub) -> None:
    status, rows = ask(hub, "GET", "/api/repos/ls")
    assert status == 200
    row = next(row for row in rows if row["filename"] == "table/config.json")
    assert set(row) >= {"filename", "lastModified", "commit", "size"}
    assert row["size"] == len(CONFIG)
    assert ask(hub, "GET", f"/api/repos/ls?organization={ORG}")[0] == 200
    assert ask(hub, "GET", "/api/repos/ls", by=None)[0] == 401


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("model", "model"),
        ("model", "models"),
        ("dataset", "dataset"),
        ("dataset", "datasets"),
        ("space", "space"),
        ("space", "spaces"),
    ],
)
def test_types_are_accepted_in_singular_and_plural(hub: PopulatedHub, kind: str, word: str) -> None:
    name = f"of-{word}"
    body = {"type": word, "name": name, "organization": ORG, "private": False}
    body |= {"sdk": "static"} if kind == "space" else {}
    status, repo = ask(hub, "POST", "/api/repos/create", body)
    assert status == 200, repo
    address = f"/api/{word}/{ORG}/{name}"
    status, result = ask(hub, "POST", f"{address}/upload/main/a/b.txt", b"b")
    assert (status, result["url"]) == (200, f"{repo['url']}/blob/main/a/b.txt")
    for settings in (
        f"/api/repos/{word}/{ORG}/{name}/settings",
        f"/api/{kind}s/{ORG}/{name}/settings",
    ):
        for private in (True, False):
            status, result = ask(hub, "PUT", settings, {"private": private})
            assert (status, result["private"]) == (200, private)
    deletion = {"type": word, "name": name, "organization": ORG}
    assert ask(hub, "DELETE", "/api/repos/delete", deletion)[0] == 200
    status, result = ask(hub, "DELETE", "/api/repos/delete", deletion)
    assert status == 404
    assert f"No {kind} repo found matching {ORG}/{name}" in result["error"]


def test_old_addresses_of_models_need_no_type(hub: PopulatedHub) -> None:
    status, result = ask(hub, "POST", "/api/anna/table/upload/main/old.txt", b"old")
    assert (status, result["url"]) == (200, f"{hub.url}/anna/table/blob/main/old.txt")
    assert ask(hub, "PUT", "/api/anna/table/settings", {"private": False})[0] == 200
    assert ask(hub, "DELETE", "/api/anna/table/delete/main/old.txt")[0] == 200


def test_a_session_starts_serves_and_ends(hub: PopulatedHub) -> None:
    status, session = ask(
        hub, "POST", "/api/login", {"username": ANNA, "password": PASSWORD}, by=None
    )
    assert status == 200
    token = session["token"]
    assert ask(hub, "GET", "/api/whoami", token=token) == (200, {"user": ANNA, "orgs": [ORG]})
    assert ask(hub, "POST", "/api/logout", token=token)[0] == 200
    assert ask(hub, "GET", "/api/whoami", token=token)[0] == 401
    assert ask(hub, "POST", "/api/logout")[0] == 400  # an access token


# -- the webhook ---------------------------------------------------------------------------------


@pytest.fixture
def receiver(hub: PopulatedHub) -> Iterator[Receiver]:
    """A web server that ``hubstead webhook add`` has registered."""
    with receiving() as receiver:
        added = hub.run("webhook", "add", receiver.url, "--secret", "s3cret")
        yield receiver
        hub.run("webhook", "remove", added["id"])


def expect(receiver: Receiver, *bodies: dict[str, str]) -> None:
    """Wait until exactly these bodies have arrived, in this order."""
    wait_until(lambda: len(receiver.bodies) >= len(bodies), timeout_s=20)
    assert receiver.bodies == list(bodies)
    receiver.received.clear()


def test_a_webhook_receives_the_whole_life_of_a_model(
    hub: PopulatedHub, receiver: Receiver
) -> None:
    model = "anna/hooked"
    ask(hub, "POST", "/api/repos/create", {"name": "hooked"})
    expect(receiver, {"add": model})
    ask(hub, "POST", f"/api/{model}/upload/main/a.txt", b"a")
    expect(receiver, {"update": model})
    ask(hub, "PUT", f"/api/models/{model}/settings", {"gated": "auto"})
    expect(receiver, {"update": model})
    ask(hub, "POST", "/api/repos/move", {"fromRepo": model, "toRepo": "anna/hooked-2"})
    expect(receiver, {"remove": model}, {"add": "anna/hooked-2"})
    ask(hub, "DELETE", "/api/repos/delete", {"name": "hooked-2"})
    expect(receiver, {"remove": "anna/hooked-2"})


def test_a_webhook_receives_no_private_names(hub: PopulatedHub, receiver: Receiver) -> None:
    ask(hub, "POST", "/api/repos/create", {"name": "quiet", "private": True})
    ask(hub, "POST", "/api/anna/quiet/upload/main/a.txt", b"a")
    ask(hub, "POST", "/api/repos/create", {"name": "quiet", "type": "dataset"})
    ask(hub, "POST", "/api/repos/create", {"name": "loud"})
    expect(receiver, {"add": "anna/loud"})  # and nothing before it
    ask(hub, "PUT", "/api/anna/quiet/settings", {"private": False})
    expect(receiver, {"add": "anna/quiet"})
    ask(hub, "PUT", "/api/anna/quiet/settings", {"private": True})
    expect(receiver, {"remove": "anna/quiet"})
    for deletion in ({"name": "quiet"}, {"name": "loud"}, {"name": "quiet", "type": "dataset"}):
        assert ask(hub, "DELETE", "/api/repos/delete", deletion)[0] == 200
    expect(receiver, {"remove": "anna/loud"})


def test_a_webhook_sends_its_secret_and_json(hub: PopulatedHub, receiver: Receiver) -> None:
    ask(hub, "POST", "/api/repos/create", {"name": "signed"})
    wait_until(lambda: len(receiver.received) == 1, timeout_s=20)
    headers = {name.lower(): value for name, value in receiver.received[0].headers.items()}
    assert headers["x-webhook-secret"] == "s3cret"
    assert headers["content-type"] == "application/json"
    ask(hub, "DELETE", "/api/repos/delete", {"name": "signed"})
