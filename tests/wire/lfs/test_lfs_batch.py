"""The promises of the batch request."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support.factories import an_org
from tests.support.lfs import GIT_LFS, LFS, LfsHub, key_of, lfs_objects, noise, oid_of

from hubstead.repos import Repo

BOTH = ("basic", "multipart")
LARGE = noise(12_345)
SMALL = noise(10, seed=1)


async def test_a_missing_object_gets_addresses_that_need_no_credentials(
    live: LfsHub, bert: Repo
) -> None:
    response = await live.batch(
        "upload", lfs_objects(SMALL), hash_algo="sha256", ref={"name": "main"}
    )
    assert response.status == 200
    assert response.headers["content-type"] == LFS
    assert response.json["transfer"] == "basic"
    [body] = response.json["objects"]
    assert body["oid"] == oid_of(SMALL)
    assert body["size"] == 10
    action = body["actions"]["upload"]
    assert action["href"].startswith(f"http://127.0.0.1:{live.port}/api/lfs/upload/{oid_of(SMALL)}")
    assert action["expires_in"] == 3600
    assert "header" not in action
    verify = f"http://127.0.0.1:{live.port}/anna/bert.git/info/lfs/verify"
    assert body["actions"]["verify"] == {"href": verify}
    assert live.tokens["anna"] not in response.body.decode()


async def test_a_linked_object_gets_no_actions_and_a_longer_hold(live: LfsHub, bert: Repo) -> None:
    await live.put(SMALL)
    before = await live.holds(bert, SMALL)
    assert before
    await asyncio.sleep(0.01)
    [body] = (await live.batch("upload", lfs_objects(SMALL))).json["objects"]
    assert body == {"oid": oid_of(SMALL), "size": 10}
    after = await live.holds(bert, SMALL)
    assert after
    assert after > before


async def test_an_object_of_another_repository_has_to_be_uploaded(live: LfsHub, bert: Repo) -> None:
    await live.a_repo("bo/mine")
    await live.put(SMALL, by="bo", repo="bo/mine")
    assert "href" in await live.upload_action(SMALL)


async def test_a_batch_without_objects_is_empty(live: LfsHub, bert: Repo) -> None:
    assert (await live.batch("upload", [], transfers=BOTH)).json["objects"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"oid": "no-sha"},
        {"oid": "A" * 64},
        {"size": -1},
        {"size": 500 * 1000**3 + 1},
        {"size": 2**80},
    ],
)
async def test_an_invalid_object_does_not_affect_the_others(
    live: LfsHub, bert: Repo, change: dict[str, Any]
) -> None:
    [good], [bad] = lfs_objects(SMALL), lfs_objects(LARGE)
    first, second = (await live.batch("upload", [bad | change, good])).json["objects"]
    assert first["error"]["code"] == 422
    assert first["error"]["message"]
    assert "actions" not in first
    assert "upload" in second["actions"]


@pytest.mark.parametrize("size", [1.5, "many", None])
async def test_an_invalid_size_is_refused(live: LfsHub, bert: Repo, size: Any) -> None:
    assert (await live.batch("upload", [{"oid": "1" * 64, "size": size}])).status == 400


async def test_a_known_object_with_another_size_is_refused(live: LfsHub, bert: Repo) -> None:
    await live.put(SMALL)
    wrong = {"oid": oid_of(SMALL), "size": 11}
    [body] = (await live.batch("upload", [wrong])).json["objects"]
    assert body["error"]["code"] == 422


@pytest.mark.parametrize("algorithm", ["sha256", "sha_256"])
async def test_both_spellings_of_sha256_are_accepted(
    live: LfsHub, bert: Repo, algorithm: str
) -> None:
    assert (await live.batch("upload", lfs_objects(SMALL), hash_algo=algorithm)).status == 200


async def test_any_other_hash_is_refused(live: LfsHub, bert: Repo) -> None:
    response = await live.batch("upload", lfs_objects(SMALL), hash_algo="sha512")
    assert response.status == 409
    assert response.json["message"]


async def test_too_many_objects_are_refused(live: LfsHub, bert: Repo) -> None:
    many = [{"oid": f"{n:064x}", "size": 1} for n in range(1001)]
    assert (await live.batch("upload", many)).status == 413
    assert (await live.batch("upload", many[1:])).status == 200


async def test_an_unknown_operation_is_refused(live: LfsHub, bert: Repo) -> None:
    response = await live.batch("erase", [])
    assert response.status == 400
    assert response.headers["content-type"] == LFS


# -- multipart uploads ----------------------------------------------------------------------


async def test_a_large_object_is_multipart_if_the_client_supports_it(
    live: LfsHub, bert: Repo
) -> None:
    response = await live.batch("upload", lfs_objects(LARGE, SMALL), transfers=BOTH)
    assert response.json["transfer"] == "multipart"
    large, small = (entry["actions"]["upload"] for entry in response.json["objects"])
    assert "header" not in small
    numbers = [f"{n:05}" for n in range(1, 14)]
    assert list(large["header"]) == ["chunk_size", *numbers]
    assert large["header"]["chunk_size"] == "1000"
    assert len({large["header"][number] for number in numbers}) == 13
    assert all(isinstance(value, str) for value in large["header"].values())


async def test_git_lfs_sends_all_objects_of_such_a_batch_in_parts(live: LfsHub, bert: Repo) -> None:
    response = await live.batch(
        "upload", lfs_objects(LARGE, SMALL), transfers=BOTH, headers=GIT_LFS
    )
    small = response.json["objects"][1]["actions"]["upload"]
    assert list(small["header"]) == ["chunk_size", "00001"]


async def test_git_lfs_sends_a_batch_of_small_objects_whole(live: LfsHub, bert: Repo) -> None:
    response = await live.batch("upload", lfs_objects(SMALL), transfers=BOTH, headers=GIT_LFS)
    assert response.json["transfer"] == "basic"
    assert "header" not in response.json["objects"][0]["actions"]["upload"]


async def test_a_client_without_multipart_sends_a_large_object_whole(
    live: LfsHub, bert: Repo
) -> None:
    assert (await live.put(LARGE)).status == 200


async def test_a_repository_that_requires_parts_names_the_command_that_enables_them(
    live: LfsHub,
) -> None:
    await live.a_repo("anna/large", lfs_multipart_threshold=100)
    data = noise(101)
    response = await live.batch("upload", lfs_objects(data, SMALL), repo="anna/large")
    large, small = response.json["objects"]
    assert large["error"]["code"] == 422
    assert "cli lfs-enable-largefiles" in large["error"]["message"]
    wanted = 'Run "hf lfs-enable-largefiles ./path/to/your/repo"'
    assert wanted in large["error"]["message"]
    assert "upload" in small["actions"]
    response = await live.batch("upload", lfs_objects(data), repo="anna/large", transfers=BOTH)
    assert response.json["transfer"] == "multipart"


async def test_a_huge_batch_gets_larger_parts_instead_of_more_addresses(
    live: LfsHub, bert: Repo
) -> None:
    vast = [{"oid": f"{n:064x}", "size": 400 * 1000**3} for n in range(1, 101)]
    response = await live.batch("upload", vast, transfers=BOTH)
    header = response.json["objects"][0]["actions"]["upload"]["header"]
    assert len(header) - 1 == 100 == -(-400 * 1000**3 // int(header["chunk_size"]))


async def test_addresses_for_many_bytes_are_valid_for_longer(live: LfsHub, bert: Repo) -> None:
    vast = [{"oid": "1" * 64, "size": 100 << 30}]
    [body] = (await live.batch("upload", vast)).json["objects"]
    assert body["actions"]["upload"]["expires_in"] == 100 << 10


# -- rights ---------------------------------------------------------------------------------


async def test_a_private_repository_looks_like_a_missing_one(live: LfsHub) -> None:
    await live.a_repo("anna/secret", private=True)
    for by, status in (("bo", 404), (None, 401)):
        for operation in ("upload", "download"):
            hidden = await live.batch(operation, lfs_objects(SMALL), by=by, repo="anna/secret")
            absent = await live.batch(operation, lfs_objects(SMALL), by=by, repo="anna/nothing")
            assert hidden.status == absent.status == status
            assert _but_for_ids(hidden) == _but_for_ids(absent)
    assert hidden.headers["www-authenticate"].startswith("Basic ")


def _but_for_ids(response: Any) -> Any:
    body = {name: value for name, value in response.json.items() if name != "request_id"}
    headers = {n: v for n, v in response.headers.items() if n not in ("x-request-id", "date")}
    headers.pop("content-length", None)
    return body, headers


async def test_a_stranger_cannot_upload_to_a_branch_of_a_public_repository(
    live: LfsHub, bert: Repo
) -> None:
    assert (
        await live.batch("upload", lfs_objects(SMALL), by="bo", ref={"name": "main"})
    ).status == 403
    response = await live.batch("upload", lfs_objects(SMALL), by=None)
    assert response.status == 401
    assert response.headers["www-authenticate"].startswith("Basic ")
    assert response.headers["content-type"] == LFS


async def test_a_reader_of_an_organization_uploads_for_pull_requests_alone(live: LfsHub) -> None:
    await an_org(live.db, "acme", live.people["anna"], {"read": live.people["bo"]})
    live.people["acme"] = live.people["anna"]
    await live.a_repo("acme/bert", private=True)
    for ref, status in (("refs/heads/main", 403), ("main", 403), ("refs/pr/1", 200)):
        response = await live.batch(
            "upload", lfs_objects(SMALL), by="bo", repo="acme/bert", ref={"name": ref}
        )
        assert response.status == status, ref
    assert (
        await live.batch("download", lfs_objects(SMALL), by="bo", repo="acme/bert")
    ).status == 200


async def test_gated_content_needs_approval(live: LfsHub) -> None:
    await live.a_repo("anna/gated", gated="auto")
    response = await live.batch("download", lfs_objects(SMALL), by="bo", repo="anna/gated")
    assert (response.status, response.headers["x-error-code"]) == (403, "GatedRepo")
    assert (
        await live.batch("download", lfs_objects(SMALL), by=None, repo="anna/gated")
    ).status == 401


async def test_datasets_and_names_without_git_suffix_are_accepted(live: LfsHub) -> None:
    from hubstead.ids import Kind

    await live.a_repo("anna/squad", kind=Kind.DATASET)
    for repo in ("datasets/anna/squad", "datasets/anna/squad.git"):
        response = await live.call(
            "POST",
            f"/{repo}/info/lfs/objects/batch",
            {"operation": "upload", "objects": lfs_objects(SMALL)},
            by="anna",
        )
        verify = response.json["objects"][0]["actions"]["verify"]["href"]
        assert verify.endswith("/datasets/anna/squad.git/info/lfs/verify")


# -- downloads, verify, locks ---------------------------------------------------------------


async def test_a_missing_object_is_an_error_of_its_entry(live: LfsHub, bert: Repo) -> None:
    await live.put(SMALL)
    await live.commit(bert, SMALL)
    response = await live.batch("download", lfs_objects(LARGE, SMALL), transfers=BOTH, by=None)
    missing, stored = response.json["objects"]
    assert missing["error"]["code"] == 404
    assert "href" in stored["actions"]["download"]
    assert response.json["transfer"] == "basic"


async def test_an_uncommitted_object_cannot_be_downloaded(live: LfsHub, bert: Repo) -> None:
    await live.put(SMALL)
    [body] = (await live.batch("download", lfs_objects(SMALL))).json["objects"]
    assert body["error"]["code"] == 404


async def test_verify_reports_whether_an_object_arrived(live: LfsHub, bert: Repo) -> None:
    url = "/anna/bert.git/info/lfs/verify"
    [object_] = lfs_objects(SMALL)
    assert (await live.call("POST", url, object_, by="anna")).status == 404
    await live.put(SMALL)
    response = await live.call("POST", url, object_, by="anna")
    assert (response.status, response.json, response.headers["content-type"]) == (200, {}, LFS)
    wrong = object_ | {"size": 11}
    assert (await live.call("POST", url, wrong, by="anna")).status == 422
    assert (await live.call("POST", url, object_)).status == 401
    # What another caller uploaded and no commit names is not there for a reader.
    assert (await live.call("POST", url, object_, by="bo")).status == 404


async def test_locks_are_not_implemented(live: LfsHub, bert: Repo) -> None:
    base = "/anna/bert.git/info/lfs/locks"
    for method, url in (("POST", f"{base}/verify"), ("GET", base), ("POST", base)):
        response = await live.call(method, url, {} if method == "POST" else None, by="anna")
        assert response.status == 404
        assert response.json["message"]
        assert response.headers["content-type"] == LFS


async def test_an_object_deleted_meanwhile_has_to_be_uploaded_again(
    live: LfsHub, bert: Repo
) -> None:
    from hubstead.blobs import unlink_blobs

    await live.put(SMALL)
    await live.db.write(lambda tx: unlink_blobs(tx, bert.pk, [key_of(SMALL)]))
    assert "href" in await live.upload_action(SMALL)
