"""The registry view, step by step as ollama and other runtimes pull."""

from __future__ import annotations

import hashlib
import json
import secrets
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from huggingface_hub import CommitOperationDelete
from tests.support.http import Response
from tests.support.hub import ThreadHub
from tests.support.models import commit_models, llama
from tests.support.person import Person

from hubstead.ids import now_ms
from hubstead.registry.stored import delete_unused

OLLAMA = {"User_Agent": "ollama/0.33.0 (amd64 linux) Go/go1.24"}
LLAMA_CPP = {"User_Agent": "llama-cpp"}
OCI = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
SHARDS = [f"big/t-Q8_0-0000{n}-of-00002.gguf" for n in (1, 2)]


def own(file_type: int = 15) -> bytes:
    """Return a GGUF file whose bytes no other test has."""
    return llama(file_type, data=secrets.token_bytes(4000))


class Pull:
    """A runtime that pulls one model."""

    def __init__(self, caller: Person | ThreadHub, repo: str, agent: dict[str, str]) -> None:
        self.caller = caller
        self.repo = repo
        self.agent = agent

    def manifest(self, ref: str = "latest", method: str = "GET", **more: str) -> Response:
        target = f"/v2/{self.repo}/manifests/{ref}"
        return self.caller.call(method, target, **self.agent, **more)

    def blob(self, digest: str, method: str = "GET", **more: str) -> Response:
        return self.caller.call(method, f"/v2/{self.repo}/blobs/{digest}", **self.agent, **more)

    def pull_all(self, ref: str = "latest") -> dict[str, bytes]:
        """Pull as ollama does; return the layers by the last word of their type."""
        manifest = self.manifest(ref)
        assert manifest.status == 200, manifest.body
        layers = manifest.json["layers"] + [manifest.json["config"]]
        return {part["mediaType"].rpartition(".")[2]: self._fetch(part) for part in layers}

    def _fetch(self, part: dict[str, Any]) -> bytes:
        head = self.blob(part["digest"], "HEAD")
        assert (head.status, int(head.headers["content-length"])) == (200, part["size"])
        location = self.blob(part["digest"]).headers["location"]
        half = part["size"] // 2
        ranges = (f"bytes=0-{half - 1}", f"bytes={half}-{part['size'] - 1}")
        hub = self.caller.hub if isinstance(self.caller, Person) else self.caller
        parts = []
        for span in ranges:
            address = location.removeprefix(hub.url)
            response = hub.call("GET", address, token="", Range=span)
            assert response.status == 206, response.body
            parts.append(response.body)
        content = b"".join(parts)
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" == part["digest"]
        return content


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return {
        "t-Q8_0.gguf": own(7),
        "t-Q4_K_M.gguf": own(15),
        "sub/t-Q2_K.gguf": own(10),
        "mmproj-F16.gguf": own(1),
        SHARDS[0]: own(7),
        SHARDS[1]: own(7),
        "LICENSE": b"MIT\n",
    }


@pytest.fixture(scope="module")
def model(live_hub: ThreadHub, files: dict[str, bytes]) -> str:
    anna = live_hub.user("anna")
    repo = anna.repo()
    commit_models(anna, repo, files)
    return repo


def test_a_registry_identifies_itself(live_hub: ThreadHub) -> None:
    for target in ("/v2", "/v2/"):
        response = live_hub.call("GET", target)
        assert (response.status, response.json) == (200, {})
        assert response.headers["docker-distribution-api-version"] == "registry/2.0"
    assert live_hub.call("GET", "/v2", token="hf_wrong").status == 401


@pytest.mark.parametrize(
    ("tag", "path"),
    [
        ("latest", "t-Q4_K_M.gguf"),
        ("q8_0", "t-Q8_0.gguf"),
        ("Q2_K", "sub/t-Q2_K.gguf"),
        ("t-q4_k_m.gguf", "t-Q4_K_M.gguf"),
        ("sub%2Ft-Q2_K.gguf", "sub/t-Q2_K.gguf"),
    ],
)
def test_ollama_pulls_by_label_and_by_name(
    live_hub: ThreadHub, model: str, files: dict[str, bytes], tag: str, path: str
) -> None:
    layers = Pull(live_hub, model, OLLAMA).pull_all(tag)
    assert layers["model"] == files[path]
    assert layers["projector"] == files["mmproj-F16.gguf"]
    assert layers["license"] == b"MIT\n"
    assert layers["template"].startswith(b"{{- range .Messages }}<|im_start|>")
    assert json.loads(layers["params"]) == {"stop": ["<|im_start|>", "<|im_end|>"]}
    assert json.loads(layers["v1+json"])["model_families"] == ["llama", "clip"]


def test_an_unknown_tag_is_refused_with_a_sentence_that_ollama_shows(
    live_hub: ThreadHub, model: str
) -> None:
    refused = Pull(live_hub, model, OLLAMA).manifest("q5_0")
    assert refused.status == 400
    assert 'No GGUF file for the tag "q5_0"' in refused.json["error"]
    assert "Q4_K_M" in refused.json["errors"][0]["message"]
    assert refused.json["errors"][0]["code"] == "MANIFEST_UNKNOWN"
    assert Pull(live_hub, model, {}).manifest("q5_0").status == 404


def test_a_split_model_is_for_llama_cpp_alone(live_hub: ThreadHub, model: str) -> None:
    refused = Pull(live_hub, model, OLLAMA).manifest("t-Q8_0-00001-of-00002.gguf")
    assert refused.status == 400
    assert "split into 2 files" in refused.json["error"]
    manifest = Pull(live_hub, model, LLAMA_CPP).manifest("t-Q8_0-00001-of-00002.gguf")
    assert manifest.json["ggufFile"]["rfilename"] == SHARDS[0]


def test_llama_cpp_gets_the_names_of_model_and_projector(
    live_hub: ThreadHub, model: str, files: dict[str, bytes]
) -> None:
    manifest = Pull(live_hub, model, LLAMA_CPP).manifest("Q8_0").json
    sha256 = hashlib.sha256(files["t-Q8_0.gguf"]).hexdigest()
    assert manifest["ggufFile"]["rfilename"] == "t-Q8_0.gguf"
    assert manifest["ggufFile"]["blobId"] == f"sha256:{sha256}"
    assert manifest["mmprojFile"]["rfilename"] == "mmproj-F16.gguf"


def test_a_manifest_is_the_same_at_every_pull_and_by_its_digest(
    live_hub: ThreadHub, model: str
) -> None:
    for agent in (OLLAMA, LLAMA_CPP, OCI):
        pull = Pull(live_hub, model, agent)
        first, second = pull.manifest(), pull.manifest()
        digest = f"sha256:{hashlib.sha256(first.body).hexdigest()}"
        assert first.body == second.body
        assert first.headers["docker-content-digest"] == digest
        assert first.headers["etag"] == f'"{digest}"'
        assert first.headers["vary"] == "User-Agent, Accept, Authorization"
        assert first.headers["cache-control"] == "no-cache"
        assert first.headers["content-type"] == first.json["mediaType"]
        again = Pull(live_hub, model, {}).manifest(digest)
        assert again.body == first.body
        assert "immutable" in again.headers["cache-control"]
        head = pull.manifest(digest, "HEAD")
        assert (head.status, head.headers["content-length"]) == (200, str(len(first.body)))


def test_docker_gets_its_own_form(live_hub: ThreadHub, model: str) -> None:
    manifest = Pull(live_hub, model, OCI).manifest("Q8_0").json
    types = [layer["mediaType"] for layer in manifest["layers"]]
    assert types[0] == "application/vnd.docker.ai.gguf.v3"
    assert Pull(live_hub, model, {**OCI, **OLLAMA}).manifest().json["mediaType"].endswith("v2+json")


def test_with_direct_downloads_the_store_sends_the_bytes_of_a_blob(
    own_hub: Callable[..., ThreadHub],
) -> None:
    hub = own_hub("company", s3_direct_downloads=True, registry_url_seconds=7200)
    anna = hub.user("anna")
    repo = anna.repo()
    content = own()
    commit_models(anna, repo, {"t-Q8_0.gguf": content})
    pull = Pull(anna, repo, OLLAMA)
    digest = pull.manifest().json["layers"][0]["digest"]
    head = pull.blob(digest, "HEAD")
    assert (head.status, head.headers["content-length"]) == (200, str(len(content)))
    redirected = pull.blob(digest)
    assert redirected.status == 307
    assert redirected.headers["cache-control"] == "no-store"
    location = redirected.headers["location"]
    assert "X-Amz-Expires=7200&" in f"{location}&"
    part = urllib.request.Request(location, headers={"Range": "bytes=5-9"})
    with urllib.request.urlopen(part, timeout=60) as response:
        assert response.read() == content[5:10]


def test_manifests_and_blobs_that_nobody_pulls_are_deleted_by_age(live_hub: ThreadHub) -> None:
    anna = live_hub.user("anna")
    repo = anna.repo()
    commit_models(anna, repo, {"t-Q8_0.gguf": own(), "system": b"first"})
    old = Pull(live_hub, repo, OLLAMA).manifest().headers["docker-content-digest"]
    commit_models(anna, repo, {"system": b"second"})
    new = Pull(live_hub, repo, OLLAMA).manifest().headers["docker-content-digest"]
    pull = Pull(live_hub, repo, {})
    live_hub.write(delete_unused, before_ms=0)
    assert pull.manifest(old).status == pull.manifest(new).status == 200
    live_hub.write(delete_unused, before_ms=now_ms() + 86_400_000)
    assert pull.manifest(old).status == 404
    assert pull.manifest(new).status == 200
    assert Pull(live_hub, repo, OLLAMA).pull_all()["system"] == b"second"


def test_tags_are_listed_in_pages(live_hub: ThreadHub, model: str) -> None:
    listed = live_hub.call("GET", f"/v2/{model}/tags/list")
    assert listed.json == {"name": model, "tags": ["Q2_K", "Q4_K_M", "Q8_0", "latest"]}
    page = live_hub.call("GET", f"/v2/{model}/tags/list?n=3")
    assert page.json["tags"] == ["Q2_K", "Q4_K_M", "Q8_0"]
    target = page.headers["link"].partition(">")[0].removeprefix(f"<{live_hub.url}")
    assert live_hub.call("GET", target).json["tags"] == ["latest"]


def test_a_private_model_is_hidden_and_pulled_by_signed_addresses(live_hub: ThreadHub) -> None:
    anna, eve = live_hub.user("anna"), live_hub.user("eve")
    repo = anna.repo(private=True)
    content = own()
    commit_models(anna, repo, {"t-Q8_0.gguf": content})
    for other in (repo, anna.path("none")):
        hidden = Pull(live_hub, other, OLLAMA).manifest()
        assert hidden.status == 401
        assert hidden.json["errors"][0]["code"] == "UNAUTHORIZED"
        host = urlsplit(live_hub.url).netloc
        assert hidden.headers["www-authenticate"] == (
            f'Bearer realm="{live_hub.url}/v2/token",service="{host}",'
            f'scope="repository:{other}:pull"'
        )
        assert Pull(eve, other, OLLAMA).manifest().json["errors"][0]["code"] == "NAME_UNKNOWN"
    pull = Pull(anna, repo, OLLAMA)
    assert pull.pull_all()["model"] == content
    location = pull.blob(pull.manifest().json["layers"][0]["digest"]).headers["location"]
    address = location.removeprefix(live_hub.url)
    assert live_hub.call("GET", address).body == content
    assert live_hub.call("GET", address[:-1]).status == 401
    other_digest = "0" * 64
    parts = address.split("sha256:")
    moved = f"{parts[0]}sha256:{other_digest}{parts[1][64:]}"
    assert live_hub.call("GET", moved).status == 401
    anna.api.delete_repo(repo)
    assert live_hub.call("GET", address).status in (401, 404)


def test_the_token_address_names_the_alternative(live_hub: ThreadHub) -> None:
    refused = live_hub.call("GET", "/v2/token?scope=x", Authorization="AAAA:BBBB")
    assert refused.status == 401
    assert "hf download" in refused.json["error"]


def test_a_gated_model_is_denied_in_the_words_of_the_hub(live_hub: ThreadHub) -> None:
    anna, eve = live_hub.user("anna"), live_hub.user("eve")
    repo = anna.repo()
    commit_models(anna, repo, {"t-Q8_0.gguf": own()})
    anna.api.update_repo_settings(repo, gated="auto")
    denied = Pull(eve, repo, OLLAMA).manifest()
    assert denied.status == 403
    assert denied.json["errors"][0]["code"] == "DENIED"
    assert "restricted" in denied.json["error"]
    assert Pull(live_hub, repo, OLLAMA).manifest().status == 401
    assert Pull(anna, repo, OLLAMA).pull_all()


def test_only_gguf_files_of_this_repository_are_blobs(live_hub: ThreadHub, model: str) -> None:
    anna = live_hub.user("anna")
    repo = anna.repo()
    weights = secrets.token_bytes(2000)
    old = own()
    commit_models(anna, repo, {"t-Q8_0.gguf": old, "w.safetensors": weights})
    pull = Pull(anna, repo, OLLAMA)
    foreign = Pull(live_hub, model, OLLAMA).manifest().json["layers"][0]["digest"]
    for digest in (foreign, f"sha256:{hashlib.sha256(weights).hexdigest()}", f"sha256:{'0' * 64}"):
        refused = pull.blob(digest)
        assert (refused.status, refused.json["errors"][0]["code"]) == (404, "BLOB_UNKNOWN")
    for digest in ("sha256:12", f"md5:{'0' * 64}"):
        assert pull.blob(digest).json["errors"][0]["code"] == "DIGEST_INVALID"
    digest = f"sha256:{hashlib.sha256(old).hexdigest()}"
    assert pull.blob(digest.replace(":", "-")).body == old
    deletion = CommitOperationDelete("t-Q8_0.gguf")
    anna.api.create_commit(repo, [deletion], commit_message="delete")
    assert pull.blob(digest).status == 404
    assert pull.manifest().status == 400


def test_a_squashed_commit_has_no_manifest_and_no_blob(live_hub: ThreadHub) -> None:
    anna = live_hub.user("anna")
    repo = anna.repo()
    commit_models(anna, repo, {"t-Q8_0.gguf": own(), "system": b"a secret that was a mistake"})
    stranger = Pull(live_hub, repo, OLLAMA)
    manifest = stranger.manifest()
    system = next(
        layer["digest"] for layer in manifest.json["layers"] if "system" in layer["mediaType"]
    )
    digest = manifest.headers["docker-content-digest"]
    assert stranger.blob(system).status == stranger.manifest(digest).status == 200
    commit_models(anna, repo, {"system": b"fixed"})
    assert stranger.blob(system).status == 200
    anna.api.super_squash_history(repo)
    assert stranger.blob(system).status == 404
    assert stranger.manifest(digest).status == 404
    assert stranger.pull_all()["system"] == b"fixed"


def test_a_renamed_model_redirects(live_hub: ThreadHub) -> None:
    anna = live_hub.user("anna")
    repo = anna.repo("old")
    commit_models(anna, repo, {"t-Q8_0.gguf": own()})
    anna.api.move_repo(repo, anna.path("new"))
    moved = Pull(live_hub, repo, OLLAMA).manifest("Q8_0")
    assert moved.status == 307
    assert moved.headers["location"] == f"/v2/{anna.path('new')}/manifests/Q8_0"
    assert Pull(live_hub, anna.path("NEW"), OLLAMA).pull_all("Q8_0")


def test_a_model_in_git_itself_is_pulled_as_well(live_hub: ThreadHub) -> None:
    anna = live_hub.user("anna")
    repo = anna.repo()
    content = own()
    commit_models(anna, repo, {"tiny.gguf": content}, attributes=b"*.gguf !filter !diff\n")
    assert Pull(live_hub, repo, OLLAMA).pull_all("tiny")["model"] == content
    assert Pull(live_hub, repo, OLLAMA).pull_all("Q4_K_M")["model"] == content


def test_files_of_the_repository_go_into_the_manifest(live_hub: ThreadHub) -> None:
    anna = live_hub.user("anna")
    repo = anna.repo()
    commit_models(
        anna, repo, {"t-Q8_0.gguf": own(), "template": b"{{ .Prompt }}", "params": b'{"seed":1}'}
    )
    layers = Pull(live_hub, repo, OLLAMA).pull_all()
    assert layers["template"] == b"{{ .Prompt }}"
    assert layers["params"] == b'{"seed":1}'
    commit_models(anna, repo, {"params": b"[1]"})
    refused = Pull(live_hub, repo, OLLAMA).manifest()
    assert refused.status == 400
    assert "no JSON object" in refused.json["error"]
    assert Pull(live_hub, repo, LLAMA_CPP).manifest().status == 200


@pytest.mark.parametrize("content", [b"GGUF", b"GGUF" + b"\xff" * 60, b"not one at all", b"x"])
def test_a_file_with_a_broken_header_is_still_pulled(live_hub: ThreadHub, content: bytes) -> None:
    anna = live_hub.user("anna")
    repo = anna.repo(f"m{secrets.token_hex(3)}")
    commit_models(anna, repo, {"t-Q8_0.gguf": content + secrets.token_bytes(9)})
    layers = Pull(live_hub, repo, OLLAMA).pull_all("Q8_0")
    assert layers["model"].startswith(content)
    assert "template" not in layers


def test_a_model_without_gguf_has_no_tags(live_hub: ThreadHub) -> None:
    anna = live_hub.user("anna")
    repo = anna.repo()
    refused = Pull(live_hub, repo, OLLAMA).manifest()
    assert refused.status == 400
    assert "There is none here" in refused.json["error"]
    assert live_hub.call("GET", f"/v2/{repo}/tags/list").json["tags"] == []
    dataset = anna.repo("texts", kind="dataset")
    assert Pull(anna, dataset, OLLAMA).manifest().status == 404


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE", "GET"])
def test_the_view_is_read_only(live_hub: ThreadHub, model: str, method: str) -> None:
    target = f"/v2/{model}/blobs/uploads/{secrets.token_hex(8)}"
    refused = live_hub.call(method, target, None if method == "GET" else b"")
    assert (refused.status, refused.json["errors"][0]["code"]) == (405, "UNSUPPORTED")


def test_the_view_can_be_switched_off(own_hub: Callable[..., ThreadHub]) -> None:
    hub = own_hub(registry_view=False)
    assert hub.call("GET", "/v2/").status == 404
    assert hub.call("GET", "/v2/anna/bert/manifests/latest").status == 404


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("hub.example.com", "https://hub.example.com"),
        ("other.example.com:81", "http://other.example.com:81"),
        ('bad"host', "https://hub.example.com"),
    ],
)
def test_addresses_are_on_the_host_of_the_request(
    own_hub: Callable[..., ThreadHub], host: str, origin: str
) -> None:
    hub = own_hub(public_url="https://hub.example.com")
    refused = hub.call("GET", "/v2/anna/none/manifests/latest", Host=host)
    assert f'realm="{origin}/v2/token"' in refused.headers["www-authenticate"]
