"""With ``read_only`` a hub serves reads, and refuses writes by every door with one sentence."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import HfHubHTTPError
from tests.support.git import Clone, clone, url
from tests.support.hub import ThreadHub
from tests.support.person import Person
from tests.support.route_cases import addresses

from hubstead.app import routes

SENTENCE = "The volume of this hub moves until 14:00: read on, and write afterwards."
#: The repository of the tests is a model, and a bucket has its name.
WRITES = [route for route in routes() if route.writes and "{spaces}" not in route.pattern]
READS = [
    ("GET", "/api/models/{repo}", None),
    ("GET", "/api/models/{repo}/tree/main", None),
    ("POST", "/api/models/{repo}/paths-info/main", {"paths": ["a.txt"]}),
    ("GET", "/{repo}/resolve/main/a.txt", None),
    ("GET", "/{repo}/resolve/main/big.bin", None),
    ("GET", "/api/models/{repo}/refs", None),
    ("GET", "/api/models/{repo}/xet-read-token/main", None),
    ("GET", "/api/whoami-v2", None),
    ("POST", "/api/validate-yaml", {"repoType": "model", "content": "---\nlicense: mit\n---\n"}),
    ("GET", "/{repo}", None),
    ("GET", "/readyz", None),
]


@pytest.fixture
def anna(live_hub: ThreadHub) -> Person:
    return live_hub.user()


@pytest.fixture
def repo(anna: Person) -> str:
    name = anna.repo()
    assert anna.call("POST", f"/api/buckets/{name}", {}).status == 200
    for path, content in (("a.txt", b"one"), ("big.bin", b"big" * 1000)):
        anna.api.upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=name)
    return name


@pytest.fixture
def here(anna: Person, repo: str, tmp_path: Path) -> Clone:
    return clone(url(anna, repo), tmp_path / "w")


@pytest.fixture
def read_only(live_hub: ThreadHub, here: Clone) -> Iterator[None]:
    """Have the hub be read-only while the test runs; the repository and its clone exist."""
    hub = live_hub.hub
    settings = hub.settings
    hub.settings = settings.replace(read_only=True, read_only_message=SENTENCE)
    yield
    hub.settings = settings


@pytest.mark.usefixtures("read_only")
def test_every_write_of_every_wire_is_refused_and_leaves_nothing(
    live_hub: ThreadHub, anna: Person, repo: str
) -> None:
    before = live_hub.traces()
    for route in WRITES:
        response = anna.call(route.method, next(addresses(route, repo)), b"{}")
        assert response.status == 503, (route.name, response.body)
        assert response.headers["x-error-message"] == SENTENCE, route.name
        assert SENTENCE.encode() in response.body, route.name
        assert response.headers["retry-after"] == "60"
    assert live_hub.traces() == before


@pytest.mark.usefixtures("read_only")
def test_reads_go_on(anna: Person, repo: str) -> None:
    for method, address, body in READS:
        response = anna.call(method, address.format(repo=repo), body)
        assert response.status == 200, (method, address, response.body)


@pytest.mark.usefixtures("read_only")
def test_requests_that_begin_an_upload_are_refused_before_its_bytes(
    anna: Person, repo: str
) -> None:
    data = b"not there"
    objects = [{"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}]
    batch: dict[str, Any] = {"transfers": ["basic"], "objects": objects}
    address = f"/{repo}.git/info/lfs/objects/batch"
    lfs = {"Content-Type": "application/vnd.git-lfs+json"}
    assert anna.call("POST", address, {"operation": "upload", **batch}, **lfs).status == 503
    assert anna.call("POST", address, {"operation": "download", **batch}, **lfs).status == 200
    assert anna.call("GET", f"/api/models/{repo}/xet-write-token/main").status == 503


@pytest.mark.usefixtures("read_only")
def test_clients_show_the_sentence_of_the_operator(
    anna: Person, here: Clone, repo: str, tmp_path: Path
) -> None:
    with pytest.raises(HfHubHTTPError, match="The volume of this hub moves until"):
        anna.api.create_tag(repo, tag="v1")
    here("fetch")
    clone(url(anna, repo), tmp_path / "again")
    here("commit", "--allow-empty", "-m", "mine")
    assert f"remote: {SENTENCE}" in here.refused("push")


def test_writes_are_taken_again_afterwards(anna: Person, repo: str) -> None:
    anna.api.upload_file(path_or_fileobj=b"two", path_in_repo="b.txt", repo_id=repo)
    assert anna.call("GET", f"/{repo}/resolve/main/b.txt").body == b"two"
