"""Nobody is told that something is stored while it is damaged, and sending it again heals it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.support.http import Response
from tests.support.hub import ThreadHub
from tests.support.person import Person
from tests.support.xet import Cas, a_model, cas_for, chunks, noise
from tests.support.xet_files import SampleFile, SampleXorb, a_file, a_xorb

from hubstead.blobs import BlobKey, BlobKind, mark_damaged, stored_name_of
from hubstead.xet import find_xorb

DAMAGES = ("gone", "flipped", "cut")
damaged_in_each_way = pytest.mark.parametrize("damage", DAMAGES)


class Anything:
    """Lets all bytes pass: this is how the wrong ones get into the store."""

    def update(self, chunk: bytes | memoryview) -> None:
        pass

    def finish(self) -> None:
        pass


@dataclass
class Place:
    """A model of anna's, and its bytes in the store."""

    hub: ThreadHub
    anna: Person
    repo_id: str

    @property
    def cas(self) -> Cas:
        return cas_for(self.hub, self.anna, self.repo_id)

    def damage(self, key: BlobKey, how: str) -> None:
        """Do to the bytes of a blob what disks do; a flipped bit is found by reading them all."""
        store = self.hub.hub.blobs

        async def harm() -> None:
            place = await stored_name_of(self.hub.db, key)
            source = await store.open(place)
            data = bytearray(b"".join([chunk async for chunk in source.chunks()]))
            await store.delete(place)
            if how == "cut":
                del data[-1:]
            elif how == "flipped":
                data[len(data) // 2] ^= 1
            if how != "gone":
                await store.put(place, bytes(data), Anything())
            if how == "flipped":
                assert await mark_damaged(self.hub.db, key)

        self.hub.run(harm())

    # -- LFS ------------------------------------------------------------------------------------

    def batch(self, data: bytes) -> dict[str, Any]:
        asked = {"operation": "upload", "objects": [describe(data)], "transfers": ["basic"]}
        response = self.anna.call("POST", f"/{self.repo_id}.git/info/lfs/objects/batch", asked)
        [answer] = response.json["objects"]
        return dict(answer)

    def put(self, data: bytes) -> Response:
        """Send an object to where the batch says."""
        parts = urlsplit(self.batch(data)["actions"]["upload"]["href"])
        return self.hub.call("PUT", f"{parts.path}?{parts.query}", data)

    def verify(self, data: bytes) -> Response:
        return self.anna.call("POST", f"/{self.repo_id}.git/info/lfs/verify", describe(data))

    def name(self, data: bytes, path: str) -> Response:
        """Commit a file of an LFS object."""
        return self.anna.commit(self.repo_id, lfs_file(data, path))

    def resolve(self, path: str) -> Response:
        return self.anna.call("GET", f"/{self.repo_id}/resolve/main/{path}")

    def heal_plainly(self, data: bytes) -> None:
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
def place(live_hub: ThreadHub) -> Place:
    anna = live_hub.user("anna")
    return Place(live_hub, anna, anna.repo("bert"))


@pytest.fixture
def stored(place: Place, request: pytest.FixtureRequest) -> bytes:
    """The content of ``a.bin``, an LFS object."""
    data = noise(40_000, request.node.name)
    assert place.put(data).status == 200
    assert place.name(data, "a.bin").status == 200
    return data


# -- LFS objects --------------------------------------------------------------------------------


@damaged_in_each_way
def test_a_damaged_lfs_object_is_asked_for_again_by_the_batch_and_healed_by_the_upload(
    place: Place, stored: bytes, damage: str
) -> None:
    assert "actions" not in place.batch(stored)
    place.damage(lfs_key(stored), damage)
    assert "upload" in place.batch(stored)["actions"]
    place.heal_plainly(stored)
    response = place.resolve("a.bin")
    body = response.body if response.status == 200 else follow(response)
    assert body == stored


def follow(said: Response) -> bytes:
    import urllib.request

    assert said.status in {302, 307}, said.status
    with urllib.request.urlopen(said.headers["location"]) as response:
        return bytes(response.read())


@damaged_in_each_way
def test_a_damaged_lfs_object_is_not_acknowledged_by_verify(
    place: Place, stored: bytes, damage: str
) -> None:
    assert place.verify(stored).status == 200
    place.damage(lfs_key(stored), damage)
    assert place.verify(stored).status == 404


@damaged_in_each_way
def test_a_damaged_lfs_object_is_not_what_preupload_finds_there(
    place: Place, stored: bytes, damage: str
) -> None:
    def told() -> dict[str, Any]:
        file = {"path": "a.bin", "size": len(stored), "sample": ""}
        target = f"/api/models/{place.repo_id}/preupload/main"
        [answer] = place.anna.call("POST", target, {"files": [file]}).json["files"]
        return dict(answer)

    if told()["uploadMode"] != "lfs":
        assert told()["oid"] == lfs_key(stored).name
    place.damage(lfs_key(stored), damage)
    assert "oid" not in told()


@damaged_in_each_way
def test_a_damaged_lfs_object_cannot_be_committed_before_it_is_healed(
    place: Place, stored: bytes, damage: str
) -> None:
    place.damage(lfs_key(stored), damage)
    refused = place.name(stored, "b.bin")
    assert refused.status in {400, 404, 422}, refused.body
    place.heal_plainly(stored)
    assert place.name(stored, "b.bin").status == 200


@damaged_in_each_way
def test_a_damaged_lfs_object_is_not_given_to_another_repository(
    place: Place, stored: bytes, damage: str
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
    place.heal_plainly(stored)
    assert duplicate().status == 200


@damaged_in_each_way
def test_an_upload_in_parts_heals_a_damaged_lfs_object(
    own_hub: Callable[..., ThreadHub], damage: str
) -> None:
    hub = own_hub(lfs_part_bytes=10_000, lfs_multipart_threshold_bytes=20_000)
    anna = hub.user("anna")
    place = Place(hub, anna, anna.repo("bert"))
    data = noise(25_000, damage)
    assert place.put(data).status == 200
    place.damage(lfs_key(data), damage)
    asked = {"operation": "upload", "objects": [describe(data)], "transfers": ["multipart"]}
    response = anna.call("POST", f"/{place.repo_id}.git/info/lfs/objects/batch", asked)
    upload = response.json["objects"][0]["actions"]["upload"]
    size, parts = int(upload["header"].pop("chunk_size")), []
    for number, href in upload["header"].items():
        target = urlsplit(href)
        at = (int(number) - 1) * size
        sent = hub.call("PUT", f"{target.path}?{target.query}", data[at : at + size])
        parts.append({"partNumber": int(number), "etag": sent.headers["etag"]})
    target = urlsplit(upload["href"])
    body = {"oid": lfs_key(data).name, "parts": parts}
    done = hub.call("POST", f"{target.path}?{target.query}", body)
    assert done.status == 200, done.body
    assert "actions" not in place.batch(data)


@damaged_in_each_way
def test_an_upload_through_xet_heals_a_damaged_plain_object(place: Place, damage: str) -> None:
    file, xorb = a_model(f"plain {damage} {place.repo_id}")
    data = b"".join(xorb.chunks)
    assert place.put(data).status == 200
    assert place.name(data, "a.bin").status == 200
    place.damage(lfs_key(data), damage)
    place.cas.upload(file, xorbs=(xorb,))
    assert "actions" not in place.batch(data)
    assert place.cas.download(file, (xorb,)) == data


# -- xorbs --------------------------------------------------------------------------------------


def xorb_key(place: Place, xorb: SampleXorb) -> BlobKey:
    known = place.hub.run(find_xorb(place.hub.hub.db, xorb.name))
    assert known is not None
    return known.key


@pytest.fixture
def model(place: Place, request: pytest.FixtureRequest) -> tuple[SampleFile, SampleXorb]:
    """A file of one xorb, committed as ``x.bin``."""
    file, xorb = a_model(request.node.name)
    place.cas.upload(file, xorbs=(xorb,))
    assert place.name(b"".join(xorb.chunks), "x.bin").status == 200
    return file, xorb


@damaged_in_each_way
def test_a_damaged_xorb_is_nowhere_told_of_and_healed_by_sending_it_again(
    place: Place, model: tuple[SampleFile, SampleXorb], damage: str
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
def test_clients_forget_what_they_believe_when_a_shard_needs_a_damaged_xorb(
    place: Place, model: tuple[SampleFile, SampleXorb], damage: str
) -> None:
    file, xorb = model
    place.damage(xorb_key(place, xorb), damage)
    before = place.cas.epoch
    refused = place.cas.register(file, xorbs=(xorb,))
    assert refused.status != 200
    assert place.cas.epoch != before


@damaged_in_each_way
def test_a_file_of_a_damaged_xorb_is_healed_by_the_same_bytes_in_another_xorb(
    place: Place, model: tuple[SampleFile, SampleXorb], damage: str
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
def test_a_file_of_a_damaged_xorb_is_healed_by_a_plain_upload(
    place: Place, model: tuple[SampleFile, SampleXorb], damage: str
) -> None:
    file, xorb = model
    data = b"".join(xorb.chunks)
    place.damage(xorb_key(place, xorb), damage)
    place.heal_plainly(data)
    response = place.resolve("x.bin")
    assert (response.body if response.status == 200 else follow(response)) == data
    assert place.cas.plan(file).status == 404
