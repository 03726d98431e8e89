"""Batches, listings and rights of buckets over HTTP, with files that are registered by rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.http import Response
from tests.support.hub import ThreadHub
from tests.support.person import Person

EMPTY = "0" * 64


@pytest.fixture
def anna(live_hub: ThreadHub) -> Person:
    return live_hub.user("anna")


def bucket_of(person: Person, name: str = "data", **how: Any) -> str:
    target = f"/api/buckets/{person.path(name)}"
    assert person.call("POST", target, how).status == 200
    return person.path(name)


def add(path: str, **more: Any) -> dict[str, Any]:
    return {"type": "addFile", "path": path, "xetHash": EMPTY, "mtime": 1_600_000_000_123} | more


def batch(person: Person, bucket: str, operations: Iterable[Mapping[str, Any]]) -> Response:
    body = "\n".join(json.dumps(one) for one in operations)
    return person.call(
        "POST", f"/api/buckets/{bucket}/batch", body, **{"Content-Type": "application/x-ndjson"}
    )


def tree(person: Person, bucket: str, prefix: str = "", query: str = "") -> list[dict[str, Any]]:
    """Follow every page of a listing."""
    tail = "/" + quote(prefix, safe="") if prefix else ""
    target, items = f"/api/buckets/{bucket}/tree{tail}?{query}", []
    while target:
        response = person.call("GET", target)
        assert response.status == 200, response.body
        items += response.json
        link = response.headers.get("link", "")
        target = link.partition(">")[0].partition(person.hub.url)[2]
    return items


def paths(items: Iterable[Mapping[str, Any]]) -> list[str]:
    return [one["path"] + "/" * (one["type"] == "directory") for one in items]


NAMES = ["a/1", "a/2", "a.txt", "a0", "b/c/d", "b/c/e", "b/f", "ü/ß", "z\\y", "\U0001f600"]


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
def test_a_listing_has_every_entry_once_in_both_directions_whatever_the_page(
    anna: Person, limit: int
) -> None:
    bucket = bucket_of(anna)
    assert batch(anna, bucket, map(add, NAMES)).json["succeeded"] == len(NAMES)
    ordered = sorted(NAMES, key=str.encode)
    tops = ["a.txt", "a/", "a0", "b/", "z\\y", "ü/", "\U0001f600"]
    for direction, step in (("1", 1), ("-1", -1)):
        query = f"limit={limit}&direction={direction}"
        assert paths(tree(anna, bucket, "", f"{query}&recursive=True")) == ordered[::step]
        by_time = tree(anna, bucket, "", f"{query}&recursive=True&sort=uploadedAt")
        assert sorted(paths(by_time)) == sorted(NAMES)
        assert paths(tree(anna, bucket, "", query)) == tops[::step]
        assert paths(tree(anna, bucket, "a", query)) == ["a.txt", "a/1", "a/2", "a0"][::step]
        assert paths(tree(anna, bucket, "b/", query)) == ["b/c/", "b/f"][::step]
        assert tree(anna, bucket, "none", query) == []


def test_valid_operations_of_a_batch_apply_and_the_others_are_listed(anna: Person) -> None:
    bucket = bucket_of(anna)
    bad = ["", "/a", "a/", "a//b", "../x", "a/../b", "a\u0001b", "a\u0000b", "é" * 513, "..\\x"]
    response = batch(anna, bucket, [add("ok", contentType="text/x-log"), *map(add, bad)])
    assert response.status == 200
    assert [one["path"] for one in response.json["failed"]] == bad
    facts = {name: response.json[name] for name in ("success", "processed", "succeeded")}
    assert facts == {"success": False, "processed": 1 + len(bad), "succeeded": 1}
    (item,) = tree(anna, bucket)
    assert item.pop("uploadedAt")
    assert item == {
        "type": "file",
        "path": "ok",
        "size": 0,
        "xetHash": EMPTY,
        "mtime": "2020-09-13T12:26:40.123Z",
        "contentType": "text/x-log",
    }
    refused = batch(anna, bucket, [add("x", xetHash="ab" * 32), add("y", mtime=2**52)])
    assert (refused.status, refused.json["succeeded"]) == (422, 0)
    assert paths(tree(anna, bucket)) == ["ok"]
    assert batch(anna, bucket, []).json["success"]


def test_a_batch_of_another_shape_or_too_many_changes_nothing(anna: Person) -> None:
    bucket = bucket_of(anna)
    assert batch(anna, bucket, [add("a"), {"type": "rename", "path": "b"}]).status == 400
    assert batch(anna, bucket, [add("a"), add("b", mtime="soon")]).status == 400
    assert batch(anna, bucket, [add(f"{at}") for at in range(1001)]).status == 413
    assert tree(anna, bucket) == []


def test_a_name_is_a_file_or_a_folder_unless_the_batch_deletes_the_other(anna: Person) -> None:
    bucket = bucket_of(anna)
    assert batch(anna, bucket, [add("a/b"), add("c")]).status == 200
    clashes = [add("a"), add("c/d"), add("new"), add("new/x"), add("deep/x/y"), add("deep/x")]
    failed = [one["path"] for one in batch(anna, bucket, clashes).json["failed"]]
    assert failed == ["a", "c/d", "new/x", "deep/x"]
    swapped = [add("a"), {"type": "deleteFile", "path": "a/b"}]
    assert batch(anna, bucket, swapped).json["success"]
    assert paths(tree(anna, bucket)) == ["a", "c", "deep/", "new"]
    info = anna.call("GET", f"/api/buckets/{bucket}").json
    assert (info["totalFiles"], info["size"]) == (4, 0)


def test_an_object_is_sent_with_its_type_ranges_and_headers(anna: Person) -> None:
    bucket = bucket_of(anna)
    batch(anna, bucket, [add("a b/%2Fü.txt", contentType="text/x-log")])
    target = f"/buckets/{bucket}/resolve/{quote('a b/%2Fü.txt', safe='')}"
    for method in ("GET", "HEAD"):
        response = anna.call(method, target)
        assert response.status == 200
        assert response.headers["x-xet-hash"] == EMPTY
        assert response.headers["x-linked-size"] == "0"
        assert response.headers["etag"] == f'"{EMPTY}"'
        assert response.headers["content-type"].startswith("text/x-log")
        assert "x-repo-commit" not in response.headers
        assert f"/api/buckets/{bucket}/xet-read-token>" in response.headers["link"]
    missing = anna.call("GET", f"/buckets/{bucket}/resolve/none")
    assert (missing.status, missing.code) == (404, "EntryNotFound")


def test_the_events_of_a_bucket_are_cleanly_unsupported(anna: Person) -> None:
    assert anna.call("GET", f"/api/buckets/{bucket_of(anna)}/events").status == 501
