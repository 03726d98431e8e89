"""Direct uploads: clients send objects straight to the store."""

from __future__ import annotations

import asyncio
import http.client
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from hubstead.blobs import BlobKey, BlobKind, BlobStore, DirectUploadTarget, open_blobs
from hubstead.blobs.s3 import S3Blobs
from hubstead.blobs.s3_client import S3Client
from hubstead.blobs.s3_direct import S3DirectTransfers
from hubstead.errors import BlobCorrupt, BlobNotFound, InvalidInput, Unavailable
from tests.blobs.conftest import direct_of, read
from tests.blobs.test_stores import AnyBytes, lfs, list_all, noise
from tests.support.services import S3Server

KEY = BlobKey(BlobKind.XORB, "5" * 64)
DATA = b"123456789"
CRC = 0xAE8B14860A799888


@pytest.fixture
def store(s3_blobs: BlobStore, run: Callable[..., object]) -> Iterator[BlobStore]:
    yield s3_blobs
    run(s3_blobs.close())


async def begin(store: BlobStore, size: int = len(DATA), **how: Any) -> DirectUploadTarget:
    how.setdefault("expires_s", 60)
    target = await direct_of(store).begin_upload(size, **how)
    assert target
    return target


async def send(upload: DirectUploadTarget, data: bytes = DATA, **changes: str) -> int:
    return await asyncio.to_thread(_send, upload, data, {**upload.headers, **changes})


def _send(upload: DirectUploadTarget, data: bytes, headers: Mapping[str, str]) -> int:
    url = urlsplit(upload.url)
    connection = http.client.HTTPConnection(url.netloc, timeout=30)
    try:
        connection.request(upload.method, f"{url.path}?{url.query}", data, dict(headers))
        return connection.getresponse().status
    finally:
        connection.close()


class Refuses(AnyBytes):
    def finish(self) -> None:
        raise BlobCorrupt(expected="better bytes", got="these")


async def test_a_direct_upload_becomes_a_blob(store: BlobStore) -> None:
    data = noise(3 << 20)
    upload = await begin(store, len(data))
    assert await send(upload, data) == 200
    assert await list_all(store) == []
    assert await direct_of(store).adopt(upload.id, KEY, lfs(data)[1]) == len(data)
    assert await read(store, KEY) == data


async def test_only_s3_supports_direct_transfers_and_only_if_enabled(
    blobs: BlobStore, s3_server: S3Server
) -> None:
    assert (blobs.direct is not None) == isinstance(blobs, S3Blobs)
    without = open_blobs(s3_server.fresh_url(), options=replace(s3_server.options, direct=False))
    assert without.direct is None
    await without.close()


async def test_an_address_accepts_one_object_of_the_announced_size(store: BlobStore) -> None:
    upload = await begin(store)
    assert await send(upload, DATA + b"0") == 403
    assert await send(upload) == 200
    assert await send(upload, DATA[::-1]) == 412
    assert await send(upload, DATA[::-1], **{"If-None-Match": '"x"'}) == 403
    await direct_of(store).adopt(upload.id, KEY, lfs(DATA)[1])
    assert await send(upload, DATA[::-1]) == 412
    with pytest.raises(BlobNotFound):
        await direct_of(store).adopt(upload.id, BlobKey(BlobKind.XORB, "6" * 64), AnyBytes())
    assert await list_all(store) == [KEY]


async def test_bytes_with_another_checksum_are_refused_if_the_server_can(
    store: S3Blobs,
) -> None:
    upload = await begin(store, crc64nvme=CRC)
    assert store.direct
    if not store.direct._takes_crc:
        pytest.skip("this server does not know the checksum, as Ceph 16")
    assert upload.headers["x-amz-checksum-crc64nvme"] == "rosUhgp5mIg="
    assert await send(upload, b"123456780") == 400
    assert await send(upload) == 200
    assert await direct_of(store).adopt(upload.id, KEY, AnyBytes()) == len(DATA)


async def test_an_address_expires(store: BlobStore) -> None:
    upload = await begin(store, expires_s=1)
    await asyncio.sleep(2.1)
    assert await send(upload) == 403


async def test_a_refused_upload_leaves_nothing_and_blocks_the_address(
    store: BlobStore,
) -> None:
    upload = await begin(store)
    await send(upload)
    with pytest.raises(BlobCorrupt):
        await direct_of(store).adopt(upload.id, KEY, Refuses())
    assert await list_all(store) == []
    with pytest.raises(BlobNotFound):
        await direct_of(store).adopt(upload.id, KEY, AnyBytes())
    assert await send(upload) == 412


@pytest.mark.parametrize("upload_id", ["0" * 32, "never-begun"])
async def test_a_missing_upload_is_an_error(store: BlobStore, upload_id: str) -> None:
    with pytest.raises(BlobNotFound):
        await direct_of(store).adopt(upload_id, KEY, AnyBytes())


@pytest.mark.parametrize("upload_id", ["", "..", "a/b", "../xorb/55/55/x", "x" * 65])
async def test_an_id_cannot_leave_the_prefix(store: BlobStore, upload_id: str) -> None:
    with pytest.raises(InvalidInput):
        await direct_of(store).adopt(upload_id, KEY, AnyBytes())


async def test_concurrent_adoptions_succeed_or_find_no_upload(store: BlobStore) -> None:
    upload = await begin(store)
    await send(upload)
    keys = [BlobKey(BlobKind.XORB, f"{n:064x}") for n in range(8)]
    results = await asyncio.gather(
        *[direct_of(store).adopt(upload.id, key, lfs(DATA)[1]) for key in keys],
        return_exceptions=True,
    )
    adopted = [key for key, result in zip(keys, results, strict=True) if result == len(DATA)]
    assert adopted
    assert all(isinstance(r, BlobNotFound) for r in results if r != len(DATA))
    assert sorted(await list_all(store), key=str) == adopted
    for key in adopted:
        assert await read(store, key) == DATA


async def test_bytes_that_change_after_they_were_read_are_not_taken(
    store: S3Blobs, s3_server: S3Server
) -> None:
    """As they would where the address was not shut; and whatever the server does with it."""
    upload = await begin(store)
    await send(upload)
    key = urlsplit(upload.url).path.removeprefix(f"/{s3_server.bucket}/")

    class Overtaken(AnyBytes):
        def finish(self) -> None:
            s3_server.client().put_object(Bucket=s3_server.bucket, Key=key, Body=b"987654321")

    with pytest.raises(BlobNotFound):
        await direct_of(store).adopt(upload.id, KEY, Overtaken())
    assert await list_all(store) == []


async def test_abandoned_uploads_are_swept(store: BlobStore) -> None:
    for adopt in (True, False):
        upload = await begin(store)
        await send(upload)
        if adopt:
            await direct_of(store).adopt(upload.id, KEY, AnyBytes())
    assert await store.sweep(3600) == 0
    assert await store.sweep(-60) == 2
    assert await read(store, KEY) == DATA
    assert await store.sweep(-60) == 0


def direct_to(server: S3Server, prefix: str, *ignored: str) -> S3DirectTransfers:
    """Return transfers to a server that ignores parameters of PUT."""
    client = S3Client(server.bucket, server.options)

    def drop(params: dict[str, Any], **_: object) -> None:
        for name in ignored:
            params.pop(name, None)

    client.writer.meta.events.register("provide-client-params.s3.PutObject", drop)
    return S3DirectTransfers(client, prefix)


async def test_a_server_that_lets_overwrite_is_not_trusted(s3_server: S3Server) -> None:
    prefix = s3_server.fresh_url().rpartition("/")[2]
    direct = direct_to(s3_server, f"{prefix}/", "IfNoneMatch", "ChecksumCRC64NVME")
    assert await direct.begin_upload(9, crc64nvme=CRC, expires_s=60) is None
    assert await direct.begin_upload(9, expires_s=60) is None
    store = S3Blobs(s3_server.bucket, prefix, s3_server.options)
    assert await store.sweep(-60) == 0
    await store.close()


async def test_a_server_without_checksums_gets_none(s3_server: S3Server) -> None:
    prefix = s3_server.fresh_url().rpartition("/")[2]
    direct = direct_to(s3_server, f"{prefix}/", "ChecksumCRC64NVME")
    upload = await direct.begin_upload(len(DATA), crc64nvme=CRC, expires_s=60)
    assert upload is not None
    assert upload.headers == {"If-None-Match": "*"}
    assert await send(upload) == 200


async def test_a_trial_that_fails_is_repeated(s3_server: S3Server) -> None:
    bucket = f"later-{secrets.token_hex(4)}"
    direct = S3DirectTransfers(S3Client(bucket, s3_server.options), "")
    with pytest.raises((Unavailable, BlobNotFound)):
        await direct.begin_upload(9, expires_s=60)
    await asyncio.to_thread(lambda: s3_server.client().create_bucket(Bucket=bucket))
    assert await direct.begin_upload(9, expires_s=60)
