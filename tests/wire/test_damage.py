"""No response calls damaged content stored, and a new upload repairs it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.support.http import Response
from tests.support.hub import ThreadHub
from tests.support.person import Person
from tests.support.xet import Cas, a_model, cas_for, chunks, noise
from tests.support.xet_files import SampleFile, SampleXorb, a_file, a_xorb

from hubstead.blobs import (
    BlobKey,
    BlobKind,
    mark_damaged,
    require_unmarked,
    stored_name_of,
)
from hubstead.errors import BlobDamaged
from hubstead.jobs import node_name
from hubstead.xet import find_xorb

DAMAGES = ("missing", "flipped", "cut")
damaged_in_each_way = pytest.mark.parametrize("damage", DAMAGES)


class Anything:
    """Accepts all bytes, so that wrong ones can be stored."""

    def update(self, chunk: bytes | memoryview) -> None:
        pass

    def finish(self) -> None:
        pass


@dataclass
class DamagedModel:
    """A model of anna's, and its bytes in the store."""

    hub: ThreadHub
    anna: Person
    repo_id: str

    @property
    def cas(self) -> Cas:
        return cas_for(self.hub, self.anna, self.repo_id)

    def damage(self, key: BlobKey, how: str, *, marked: bool = True) -> None:
        """Damage the bytes of a blob as disks do; only a full read detects a flipped bit.

        A flipped bit is ``marked`` in the row, as that reader does.
        """
        store = self.hub.hub.blobs

        async def harm() -> None:
            stored_key = await stored_name_of(self.hub.db, key)
            source = await store.open(stored_key)
            data = bytearray(b"".join([chunk async for chunk in source.chunks()]))
            await store.delete(stored_key)
            if how == "cut":
                del data[-1:]
            elif how == "flipped":
                data[len(data) // 2] ^= 1
            if how != "missing":
                await store.put(stored_key, bytes(data), Anything())
            await self.hub.hub.stores.xet.cache.forget(stored_key)
            if how == "flipped" and marked:
                assert await mark_damaged(self.hub.db, key)

        self.hub.run(harm())

    # -- LFS ------------------------------------------------------------------------------------

    def batch(self, data: bytes) -> dict[str, Any]:
        request = {"operation": "upload", "objects": [describe(data)], "transfers": ["basic"]}
        response = self.anna.call("POST", f"/{self.repo_id}.git/info/lfs/objects/batch", request)
        [entry] = response.json["objects"]
        return dict(entry)

    def put(self, data: bytes) -> Response:
        """Upload an object to the address in the batch."""
        parts = urlsplit(self.batch(data)["actions"]["upload"]["href"])
        return self.hub.call("PUT", f"{parts.path}?{parts.query}", data)

    def verify(self, data: bytes) -> Response:
        return self.anna.call("POST", f"/{self.repo_id}.git/info/lfs/verify", describe(data))

    def name(self, data: bytes, path: str) -> Response:
        """Commit a file of an LFS object."""
        return self.anna.commit(self.repo_id, lfs_file(data, path))

    def resolve(self, path: str) -> Response:
        return self.anna.call("GET", f"/{self.repo_id}/resolve/main/{path}")

    def repair_by_lfs(self, data: bytes) -> None:
        response = self.put(data)
        assert response.status == 200, response.body
        assert "actions" not in self.batch(data)
        assert self.verify(data).status == 200


def describe(data: bytes) -> dict[str, object]:
    return {"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}


def lfs_file(data: bytes, path: str) -> dict[str, object]:
    value = {**describe(data), "path": path, "algo": "sha256"}
    return {"key": "lfsFile", "value": value}


def lfs_key(data: bytes) -> BlobKey:
    return BlobKey(BlobKind.LFS, hashlib.sha256(data).hexdigest())


@pytest.fixture
def place(live_hub: ThreadHub) -> DamagedModel:
    anna = live_hub.user("anna")
    return DamagedModel(live_hub, anna, anna.repo("bert"))


@pytest.fixture
def stored(place: DamagedModel, request: pytest.FixtureRequest) -> bytes:
    """The content of ``a.bin``, an LFS object."""
    data = noise(40_000, request.node.name)
    assert place.put(data).status == 200
    assert place.name(data, "a.bin").status == 200
    return data


# -- LFS objects --------------------------------------------------------------------------------


@damaged_in_each_way
def test_a_damaged_lfs_object_is_requested_by_the_batch_and_repaired_by_the_upload(
    place: DamagedModel, stored: bytes, damage: str
) -> None:
    assert "actions" not in place.batch(stored)
    place.damage(lfs_key(stored), damage)
    assert "upload" in place.batch(stored)["actions"]
    place.repair_by_lfs(stored)
    response = place.resolve("a.bin")
    body = response.body if response.status == 200 else follow(response)
    assert body == stored


def follow(answer: Response) -> bytes:
    import urllib.request

    assert answer.status in {302, 307}, answer.status
    with urllib.request.urlopen(answer.headers["location"]) as response:
        return bytes(response.read())


@damaged_in_each_way
def test_a_damaged_lfs_object_fails_verify(place: DamagedModel, stored: bytes, damage: str) -> None:
    assert place.verify(stored).status == 200
    place.damage(lfs_key(stored), damage)
    assert place.verify(stored).status == 404


@damaged_in_each_way
def test_preupload_ignores_a_damaged_lfs_object(
    place: DamagedModel, stored: bytes, damage: str
) -> None:
    def answer_of_preupload() -> dict[str, Any]:
        file = {"path": "a.bin", "size": len(stored), "sample": ""}
        target = f"/api/models/{place.repo_id}/preupload/main"
        [entry] = place.anna.call("POST", target, {"files": [file]}).json["files"]
        return dict(entry)

    if answer_of_preupload()["uploadMode"] != "lfs":
        assert answer_of_preupload()["oid"] == lfs_key(stored).name
    place.damage(lfs_key(stored), damage)
    assert "oid" not in answer_of_preupload()


@damaged_in_each_way
def test_a_damaged_lfs_object_cannot_be_committed_before_its_repair(
    place: DamagedModel, stored: bytes, damage: str
) -> None:
    place.damage(lfs_key(stored), damage)
    refused = place.name(stored, "b.bin")
    assert refused.status in {400, 404, 422}, refused.body
    place.repair_by_lfs(stored)
    assert place.name(stored, "b.bin").status == 200


@damaged_in_each_way
def test_a_damaged_lfs_object_is_not_copied_to_another_repository(
    place: DamagedModel, stored: bytes, damage: str
) -> None:
    other = place.anna.repo("other")

    def duplicate() -> Response:
        body = {
            "target": {"type": "model", "name": other},
            "files": [{"sha256": lfs_key(stored).name, "xetHash": None}],
        }
        return place.anna.call("POST", f"/api/models/{place.repo_id}/lfs-files/duplicate", body)

    place.damage(lfs_key(stored), damage)
    assert duplicate().status == 207
    place.repair_by_lfs(stored)
    assert duplicate().status == 200


@damaged_in_each_way
def test_a_multipart_upload_repairs_a_damaged_lfs_object(
    own_hub: Callable[..., ThreadHub], damage: str
) -> None:
    hub = own_hub(lfs_part_bytes=10_000, lfs_multipart_threshold_bytes=20_000)
    anna = hub.user("anna")
    place = DamagedModel(hub, anna, anna.repo("bert"))
    data = noise(25_000, damage)
    assert place.put(data).status == 200
    place.damage(lfs_key(data), damage)
    request = {"operation": "upload", "objects": [describe(data)], "transfers": ["multipart"]}
    response = anna.call("POST", f"/{place.repo_id}.git/info/lfs/objects/batch", request)
    upload = response.json["objects"][0]["actions"]["upload"]
    size, parts = int(upload["header"].pop("chunk_size")), []
    for number, href in upload["header"].items():
        target = urlsplit(href)
        at = (int(number) - 1) * size
        sent = hub.call("PUT", f"{target.path}?{target.query}", data[at : at + size])
        parts.append({"partNumber": int(number), "etag": sent.headers["etag"]})
    target = urlsplit(upload["href"])
    body = {"oid": lfs_key(data).name, "parts": parts}
    completion = hub.call("POST", f"{target.path}?{target.query}", body)
    assert completion.status == 200, completion.body
    assert "actions" not in place.batch(data)


@damaged_in_each_way
def test_a_xet_upload_repairs_a_damaged_plain_object(place: DamagedModel, damage: str) -> None:
    file, xorb = a_model(f"plain {damage} {place.repo_id}")
    data = b"".join(xorb.chunks)
    assert place.put(data).status == 200
    assert place.name(data, "a.bin").status == 200
    place.damage(lfs_key(data), damage)
    place.cas.upload(file, xorbs=(xorb,))
    assert "actions" not in place.batch(data)
    assert place.cas.download(file, (xorb,)) == data


# -- xorbs --------------------------------------------------------------------------------------


def xorb_key(place: DamagedModel, xorb: SampleXorb) -> BlobKey:
    known = place.hub.run(find_xorb(place.hub.hub.db, xorb.name))
    assert known is not None
    return known.key


@pytest.fixture
def model(place: DamagedModel, request: pytest.FixtureRequest) -> tuple[SampleFile, SampleXorb]:
    """A file of one xorb, committed as ``x.bin``."""
    file, xorb = a_model(request.node.name)
    place.cas.upload(file, xorbs=(xorb,))
    assert place.name(b"".join(xorb.chunks), "x.bin").status == 200
    return file, xorb


@damaged_in_each_way
def test_a_damaged_xorb_is_in_no_response_and_repaired_by_a_new_upload(
    place: DamagedModel, model: tuple[SampleFile, SampleXorb], damage: str
) -> None:
    file, xorb = model
    data, address = b"".join(xorb.chunks), f"/v1/xorbs/default/{xorb.name}"
    ask = f"/v1/chunks/default-merkledb/{file_first(xorb)}"
    assert place.cas.call("HEAD", address).status == 200
    assert place.cas.call("GET", ask).status == 200
    place.damage(xorb_key(place, xorb), damage)
    assert place.cas.call("HEAD", address).status == 404
    assert place.cas.call("GET", ask).status == 404
    assert "actions" in place.batch(data)
    assert place.verify(data).status == 404
    assert place.name(data, "y.bin").status in {400, 404, 422}
    assert place.cas.register(file, xorbs=(xorb,)).status != 200
    assert place.cas.send(xorb).status == 200
    assert place.cas.call("HEAD", address).status == 200
    assert place.cas.register(file, xorbs=(xorb,)).status == 200
    assert "actions" not in place.batch(data)
    assert place.cas.download(file, (xorb,)) == data


def file_first(xorb: SampleXorb) -> str:
    from hubstead.xet import chunk_hash, to_text

    return to_text(chunk_hash(xorb.chunks[0]))


@damaged_in_each_way
def test_clients_drop_their_caches_when_a_shard_needs_a_damaged_xorb(
    place: DamagedModel, model: tuple[SampleFile, SampleXorb], damage: str
) -> None:
    file, xorb = model
    place.damage(xorb_key(place, xorb), damage)
    before = place.cas.epoch
    refused = place.cas.register(file, xorbs=(xorb,))
    assert refused.status != 200
    assert place.cas.epoch != before


@damaged_in_each_way
def test_a_file_of_a_damaged_xorb_is_repaired_by_the_same_bytes_in_another_xorb(
    place: DamagedModel, model: tuple[SampleFile, SampleXorb], damage: str
) -> None:
    """Another client packs the same chunks together with others: the xorb has another name."""
    _, xorb = model
    data, count = b"".join(xorb.chunks), len(xorb.chunks)
    place.damage(xorb_key(place, xorb), damage)
    wider = a_xorb([*xorb.chunks, *chunks(2, f"more {damage}")])
    again = a_file((wider, 0, count))
    place.cas.upload(again, xorbs=(wider,))
    assert "actions" not in place.batch(data)
    assert place.resolve("x.bin").body == data


@damaged_in_each_way
def test_a_file_of_a_damaged_xorb_is_repaired_by_a_plain_upload(
    place: DamagedModel, model: tuple[SampleFile, SampleXorb], damage: str
) -> None:
    file, xorb = model
    data = b"".join(xorb.chunks)
    place.damage(xorb_key(place, xorb), damage)
    place.repair_by_lfs(data)
    response = place.resolve("x.bin")
    assert (response.body if response.status == 200 else follow(response)) == data
    assert place.cas.plan(file).status == 404


# -- downloads ----------------------------------------------------------------------------------


def assert_damaged(response: Response, key: BlobKey, caplog: pytest.LogCaptureFixture) -> None:
    assert response.status == 503, response.body
    assert b"damaged" in response.body
    assert any(
        record.levelname == "ERROR"
        and f"blob='{key}'" in record.getMessage()
        and node_name() in record.getMessage()
        for record in caplog.records
    )


@damaged_in_each_way
def test_a_damaged_lfs_object_is_503_by_each_door_and_an_error_line(
    place: DamagedModel, stored: bytes, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    # A condition keeps the response here where the hub redirects to the store.
    headers = {"if-none-match": '"other"'}
    batch = {"operation": "download", "objects": [describe(stored)], "transfers": ["basic"]}
    answer = place.anna.call("POST", f"/{place.repo_id}.git/info/lfs/objects/batch", batch).json
    href = urlsplit(answer["objects"][0]["actions"]["download"]["href"])
    key = lfs_key(stored)
    place.damage(key, damage)
    for target, token in (
        (f"/{place.repo_id}/resolve/main/a.bin", place.anna),
        (f"{href.path}?{href.query}", place.hub),
    ):
        for span in ({}, {"range": "bytes=0-9"}):
            caplog.clear()
            assert_damaged(token.call("GET", target, None, **headers, **span), key, caplog)


def test_a_marked_object_gets_no_address_in_the_store(place: DamagedModel, stored: bytes) -> None:
    place.damage(lfs_key(stored), "flipped")
    assert place.resolve("a.bin").status == 503


@damaged_in_each_way
def test_a_file_of_a_damaged_xorb_is_503_and_its_xorb_marked(
    place: DamagedModel,
    model: tuple[SampleFile, SampleXorb],
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Also bits that flipped in uncompressed chunks, which decode without an error."""
    file, xorb = model
    key = xorb_key(place, xorb)
    place.damage(key, damage, marked=False)
    assert_damaged(place.resolve("x.bin"), key, caplog)

    async def is_marked() -> None:
        with suppress(BlobDamaged):
            while True:
                await require_unmarked(place.hub.db, BlobKind.XORB, [key.name])
                await asyncio.sleep(0.01)

    place.hub.run(is_marked())
    response = place.cas.plan(file)
    assert response.status == 503, response.body


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_range_of_a_damaged_xorb_is_503(
    place: DamagedModel,
    model: tuple[SampleFile, SampleXorb],
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if place.hub.hub.blobs.direct is not None:
        pytest.skip("clients read ranges from S3 itself")
    file, xorb = model
    [[entry]] = place.cas.plan(file).json["xorbs"].values()
    key = xorb_key(place, xorb)
    place.damage(key, damage)
    assert_damaged(place.cas.fetch(entry["url"]), key, caplog)


def test_a_shard_is_not_refused_because_of_a_damaged_xorb_in_the_store(
    place: DamagedModel, caplog: pytest.LogCaptureFixture
) -> None:
    """The hub reads the xorb back for the sha256 of the file."""
    xorb = a_xorb(chunks(40, f"read back {place.repo_id}"))
    assert place.cas.send(xorb).status == 200
    key = xorb_key(place, xorb)
    place.damage(key, "flipped", marked=False)
    file = a_file((xorb, 1, 40))
    assert_damaged(place.cas.register(file, xorbs=(xorb,)), key, caplog)
    assert place.cas.send(xorb).status == 200
