"""LFS and Xet together: objects of either are served by both, and capable clients upload by Xet."""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.http import Response
from tests.support.hub import ThreadHub
from tests.support.person import Person

BIG = random.Random(11).randbytes(400_000) + b"abcdefgh" * 50_000
PLAIN = random.Random(12).randbytes(200_000)
HEADERS = {
    "X-Xet-Cas-Url",
    "X-Xet-Access-Token",
    "X-Xet-Token-Expiration",
    "X-Xet-Session-Id",
}
#: Uploads a file as ``git-xet`` does: with nothing but the batch response.
SEND = """
import hf_xet, json
url, token, until, path = args
hf_xet.upload_files([path], url, (token, int(until)), None, None, "model")
"""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def lfs_objects(*contents: bytes) -> list[dict[str, Any]]:
    return [{"oid": sha256(data), "size": len(data)} for data in contents]


@dataclass(frozen=True)
class TwoFileModel:
    """A model with one file uploaded by Xet and one by LFS."""

    owner: Person
    repo_id: str
    home: Path

    def batch(
        self,
        operation: str,
        objects: Sequence[Any],
        *transfers: str,
        by: Person | None = None,
        token: str | None = None,
        **more: Any,
    ) -> Response:
        sent = (by or self.owner).token if token is None else token
        body = {"operation": operation, "transfers": transfers, "objects": objects, **more}
        target = f"/{self.repo_id}.git/info/lfs/objects/batch"
        return self.owner.hub.call("POST", target, body, token=sent)

    def follow(self, href: str, method: str = "GET", body: Any = None, **headers: str) -> Response:
        target = href.removeprefix(self.owner.hub.url)
        return self.owner.hub.call(method, target, body, **headers)

    def download(self, data: bytes, method: str = "GET", **headers: str) -> Response:
        response = self.batch("download", lfs_objects(data))
        [entry] = response.json["objects"]
        return self.follow(entry["actions"]["download"]["href"], method, **headers)


@pytest.fixture(scope="module")
def sample(live_hub: ThreadHub, tmp_path_factory: pytest.TempPathFactory) -> TwoFileModel:
    anna = live_hub.user("anna")
    home = tmp_path_factory.mktemp("anna")
    sample = TwoFileModel(anna, anna.repo(), home)
    (home / "big.bin").write_bytes(BIG)
    script = "api.upload_file(repo_id=args[0], path_or_fileobj=args[1], path_in_repo='big.bin')"
    anna.python(script, sample.repo_id, str(home / "big.bin"), home=home)
    anna.api.upload_file(path_or_fileobj=PLAIN, path_in_repo="plain.bin", repo_id=sample.repo_id)
    return sample


def commit(sample: TwoFileModel, path: str, data: bytes) -> Response:
    value = {"path": path, "algo": "sha256", "oid": sha256(data), "size": len(data)}
    return sample.owner.commit(sample.repo_id, {"key": "lfsFile", "value": value})


# -- uploads -----------------------------------------------------------------------------------

OFFERS = [("basic", "multipart", "xet"), ("xet",), ("lfs-standalone-file", "xet", "basic", "ssh")]


@pytest.mark.parametrize("offered", OFFERS)
def test_a_capable_client_uploads_by_xet(sample: TwoFileModel, offered: Sequence[str]) -> None:
    new = lfs_objects(b"one thing", b"another thing")
    response = sample.batch(
        "upload", new, *offered, hash_algo="sha256", ref={"name": "refs/heads/main"}
    )
    assert response.status == 200
    assert response.json["transfer"] == "xet"
    for entry, wanted in zip(response.json["objects"], new, strict=True):
        assert (entry["oid"], entry["size"]) == (wanted["oid"], wanted["size"])
        upload, verify = entry["actions"]["upload"], entry["actions"]["verify"]
        assert set(upload["header"]) == HEADERS
        assert all(isinstance(value, str) for value in upload["header"].values())
        uuid.UUID(upload["header"]["X-Xet-Session-Id"])
        url = f"{sample.owner.hub.url}/api/models/{sample.repo_id}/xet-write-token/main"
        assert upload["href"] == url
        assert verify["href"].endswith(f"/{sample.repo_id}.git/info/lfs/verify")


def test_new_tokens_are_issued_at_the_address_in_the_batch(sample: TwoFileModel) -> None:
    response = sample.batch("upload", lfs_objects(b"token, please"), "basic", "xet")
    action = response.json["objects"][0]["actions"]["upload"]
    again = sample.follow(action["href"], Authorization=f"Bearer {sample.owner.token}")
    assert again.status == 200
    assert again.json["casUrl"] == action["header"]["X-Xet-Cas-Url"]
    assert again.json["exp"] >= int(action["header"]["X-Xet-Token-Expiration"])
    assert sample.follow(action["href"]).status == 401


def test_the_address_of_tokens_is_valid_for_a_branch_during_its_push(
    sample: TwoFileModel,
) -> None:
    empty = TwoFileModel(sample.owner, sample.owner.repo("empty"), sample.home)
    for model, ref in ((sample, "refs/heads/new"), (empty, "refs/heads/main"), (empty, "master")):
        response = model.batch("upload", lfs_objects(b"new branch"), "xet", ref={"name": ref})
        href = response.json["objects"][0]["actions"]["upload"]["href"]
        assert model.follow(href, Authorization=f"Bearer {sample.owner.token}").status == 200


@pytest.mark.parametrize("offered", [(), ("basic",), ("basic", "multipart"), ("XET", "basic")])
def test_a_client_that_does_not_offer_xet_uploads_by_lfs(
    sample: TwoFileModel, offered: Sequence[str]
) -> None:
    response = sample.batch("upload", lfs_objects(b"the old way"), *offered)
    assert response.json["transfer"] == "basic"
    assert "header" not in response.json["objects"][0]["actions"]["upload"]


def test_a_stored_object_need_not_be_uploaded_by_either_way(sample: TwoFileModel) -> None:
    for offered in (("basic",), ("basic", "xet")):
        response = sample.batch("upload", lfs_objects(BIG, PLAIN), *offered)
        assert all(
            "actions" not in entry and "error" not in entry for entry in response.json["objects"]
        )
    mixed = sample.batch("upload", [*lfs_objects(BIG, b"new"), {"oid": "?", "size": 1}], "xet")
    assert mixed.json["transfer"] == "xet"
    has_actions = ["actions" in entry for entry in mixed.json["objects"]]
    assert has_actions == [False, True, False]
    assert mixed.json["objects"][2]["error"]["code"] == 422


def test_xet_is_offered_only_to_writers(sample: TwoFileModel) -> None:
    stranger = sample.owner.hub.user("bo")
    new = lfs_objects(b"not yours")
    for token, status in (
        ("", 401),
        (stranger.token, 403),
        (sample.owner.with_token("read").token, 403),
    ):
        ref = {"name": "refs/heads/main"}
        response = sample.batch("upload", new, "basic", "xet", token=token, ref=ref)
        assert response.status == status
        assert b"Xet" not in response.body


def test_an_upload_with_the_tokens_of_a_batch_can_be_committed(
    sample: TwoFileModel, tmp_path: Path
) -> None:
    data = random.Random(13).randbytes(300_000)
    (tmp_path / "git.bin").write_bytes(data)
    response = sample.batch("upload", lfs_objects(data), "basic", "xet")
    action, verify = (response.json["objects"][0]["actions"][name] for name in ("upload", "verify"))
    ask = {"oid": sha256(data), "size": len(data)}
    signed = {"Authorization": f"Bearer {sample.owner.token}"}
    assert sample.follow(verify["href"], "POST", ask, **signed).status == 404
    headers = action["header"]
    facts = [headers[f"X-Xet-{name}"] for name in ("Cas-Url", "Access-Token", "Token-Expiration")]
    sample.owner.python(SEND, *facts, str(tmp_path / "git.bin"), home=tmp_path)
    assert sample.follow(verify["href"], "POST", ask, **signed).status == 200
    assert sample.follow(verify["href"], "POST", {**ask, "size": 1}, **signed).status == 422
    assert "actions" not in sample.batch("upload", lfs_objects(data), "basic").json["objects"][0]
    assert commit(sample, "git.bin", data).status == 200
    assert sample.download(data).body == data


def test_a_xet_object_can_be_uploaded_by_lfs_to_another_repository(
    sample: TwoFileModel,
) -> None:
    other = TwoFileModel(sample.owner, sample.owner.repo("elsewhere"), sample.home)
    response = other.batch("upload", lfs_objects(BIG), "basic")
    href = response.json["objects"][0]["actions"]["upload"]["href"]
    assert other.follow(href, "PUT", BIG).status == 200
    assert commit(other, "big.bin", BIG).status == 200
    for model in (other, sample):
        assert model.download(BIG).body == BIG


# -- downloads ---------------------------------------------------------------------------------


def test_git_lfs_downloads_xet_files_like_any_other(sample: TwoFileModel) -> None:
    for data in (BIG, PLAIN):
        response = sample.download(data)
        if response.status == 302:  # the store itself serves plain objects
            assert data == PLAIN
            continue
        assert (response.status, response.body) == (200, data)
        assert response.headers["etag"] == f'"{sha256(data)}"'
        assert response.headers["content-length"] == str(len(data))


@pytest.mark.parametrize("first", [0, 1, 65_536, 399_999, 400_001, len(BIG) - 1])
def test_git_lfs_resumes_the_download_of_a_xet_file(sample: TwoFileModel, first: int) -> None:
    response = sample.download(BIG, Range=f"bytes={first}-")
    assert response.status == 206
    assert response.body == BIG[first:]
    assert response.headers["content-range"] == f"bytes {first}-{len(BIG) - 1}/{len(BIG)}"


def test_an_if_range_of_another_file_gets_the_whole_file(sample: TwoFileModel) -> None:
    for data in (BIG, PLAIN):
        part = {"Range": "bytes=1-2"}
        assert sample.download(data, **part, **{"If-Match": '"stale"'}).status == 412
        response = sample.download(data, **part, **{"If-Match": f'"{sha256(data)}"'})
        assert (response.status, response.body) == (206, data[1:3])


def test_downloads_are_never_by_xet(sample: TwoFileModel) -> None:
    response = sample.batch("download", lfs_objects(BIG, PLAIN), "xet", "basic")
    assert response.json["transfer"] == "basic"
    assert all("download" in entry["actions"] for entry in response.json["objects"])


def test_a_xet_file_of_another_repository_is_not_served(sample: TwoFileModel) -> None:
    other = TwoFileModel(sample.owner, sample.owner.repo("without"), sample.home)
    response = other.batch("download", lfs_objects(BIG))
    assert response.json["objects"][0]["error"]["code"] == 404
    [file] = sample.batch("download", lfs_objects(BIG)).json["objects"]
    changed = json.dumps(file).replace(sha256(BIG), sha256(PLAIN))
    href = json.loads(changed)["actions"]["download"]["href"]
    assert sample.follow(href).status in (401, 403)
