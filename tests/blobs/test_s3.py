"""S3 beyond the common suite: signed addresses, errors of the server, leftovers."""

from __future__ import annotations

import asyncio
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from hubstead.blobs import BlobKey, BlobKind, BlobStore, S3Options, open_blobs
from hubstead.errors import InvalidInput, Unavailable
from hubstead.http import content_disposition
from tests.blobs.conftest import direct_of, in_thread, read
from tests.blobs.test_stores import AnyBytes, lfs, noise, put, send
from tests.support.s3_proxy import S3Proxy, running_s3_proxy
from tests.support.services import S3Server

MIB = 1 << 20


@pytest.fixture
def blobs(s3_blobs: BlobStore, run: Callable[..., object]) -> Iterator[BlobStore]:
    yield s3_blobs
    run(s3_blobs.close())


def get(url: str, **headers: str) -> tuple[bytes, Any]:
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.read(), response.headers


@pytest.mark.parametrize("name", ['größe "x" 1.bin', "x\udcff.bin"])
async def test_a_blob_is_readable_at_its_signed_address(blobs: BlobStore, name: str) -> None:
    key = await put(blobs, b"0123456789")
    header = content_disposition(name)
    url = await direct_of(blobs).url(
        key, expires_s=60, content_disposition=header, media_type="text/x-test"
    )
    assert url
    body, headers = await asyncio.to_thread(get, url)
    assert body == b"0123456789"
    assert headers["Content-Type"] == "text/x-test"
    assert headers["Content-Disposition"] == header
    body, headers = await asyncio.to_thread(lambda: get(url, Range="bytes=2-4"))
    assert body == b"234"


async def test_an_address_signed_for_a_range_serves_only_that_range(blobs: BlobStore) -> None:
    key = await put(blobs, b"0123456789")
    url = await direct_of(blobs).url(key, expires_s=60, span=(2, 4))
    assert url

    def ask(**headers: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, b""

    assert await asyncio.to_thread(ask, Range="bytes=2-4") == (206, b"234")
    for wrong in ("bytes=2-5", "bytes=0-", "bytes=-3", "bytes=2-4,6-7", "bytes= 2-4"):
        assert await asyncio.to_thread(ask, Range=wrong) == (403, b""), wrong
    assert await asyncio.to_thread(ask) == (403, b"")


async def test_a_signed_address_expires(blobs: BlobStore) -> None:
    key = await put(blobs, b"here")
    url = await direct_of(blobs).url(key, expires_s=1)
    assert url
    await asyncio.sleep(2.1)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        await asyncio.to_thread(get, url)


async def test_signed_addresses_have_the_public_host(s3_server: S3Server) -> None:
    public = replace(s3_server.options, public_endpoint="https://files.example")
    key = BlobKey(BlobKind.LFS, "a" * 64)
    with_path = await direct_of(open_blobs("s3://bucket/p", options=public)).url(key, expires_s=60)
    assert with_path
    assert with_path.startswith(f"https://files.example/bucket/p/lfs/aa/aa/{key.name}?")
    by_host = open_blobs("s3://bucket", options=replace(public, path_style=False))
    url = await direct_of(by_host).url(key, expires_s=60)
    assert url
    assert url.startswith(f"https://bucket.files.example/lfs/aa/aa/{key.name}?")


# -- errors ---------------------------------------------------------------------------------


async def every_call(blobs: BlobStore) -> list[Exception]:
    key, verify = lfs(noise(100))
    calls = [
        blobs.ready(),
        blobs.put(key, noise(100), verify),
        blobs.put(key, noise(10 * MIB), AnyBytes()),
        blobs.size(key),
        blobs.open(key),
        blobs.parts.received("u"),
        send(blobs, "u", b"part", [1]),
        blobs.sweep(60),
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)
    return [result for result in results if isinstance(result, Exception)]


async def test_a_server_that_is_down_makes_the_store_unavailable() -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        options = S3Options(endpoint, access_key="a", secret_key="hidden", timeout_s=2)
        faults = await every_call(open_blobs("s3://bucket", options=options))
    assert [type(fault) for fault in faults] == [Unavailable] * 8
    assert not any("hidden" in str(fault) or "127.0" in str(fault) for fault in faults)


async def test_a_wrong_key_makes_the_store_unavailable(s3_server: S3Server) -> None:
    options = replace(s3_server.options, secret_key="wrong")
    faults = await every_call(open_blobs(s3_server.fresh_url(), options=options))
    assert [type(fault) for fault in faults] == [Unavailable] * 8


async def test_a_missing_bucket_makes_the_store_not_ready(s3_server: S3Server) -> None:
    with pytest.raises(Unavailable, match="does not exist"):
        await open_blobs("s3://no-such-bucket", options=s3_server.options).ready()


def test_the_secret_is_not_printed() -> None:
    assert "hidden" not in repr(S3Options(secret_key="hidden", session_token="hidden"))


async def test_a_download_resumes_after_a_broken_connection(s3_server: S3Server) -> None:
    data = noise(6 * MIB)
    url = s3_server.fresh_url()
    key = await put(open_blobs(url, options=s3_server.options), data)
    with cutting_proxy(s3_server.options.endpoint, after=2 * MIB) as (endpoint, cuts):
        options = replace(s3_server.options, endpoint=endpoint)
        assert await read(open_blobs(url, options=options), key) == data
    assert cuts >= [True, True]


@contextmanager
def cutting_proxy(endpoint: str, *, after: int) -> Iterator[tuple[str, list[bool]]]:
    """Forward connections to ``endpoint`` and break them after so many bytes of the response."""
    target = ("127.0.0.1", int(endpoint.rpartition(":")[2]))
    cuts: list[bool] = []

    def answer(client: socket.socket, server: socket.socket) -> None:
        sent = 0
        while sent < after and (data := server.recv(min(65536, after - sent))):
            client.sendall(data)
            sent += len(data)
        if sent >= after:
            cuts.append(True)
        for end in (client, server):
            end.shutdown(socket.SHUT_RDWR)

    def ask(client: socket.socket, server: socket.socket) -> None:
        try:
            while data := client.recv(65536):
                server.sendall(data)
        except OSError:
            pass

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(target)
            for job in (answer, ask):
                threading.Thread(target=job, args=(client, server), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", cuts
        listener.shutdown(socket.SHUT_RDWR)


# -- leftovers ------------------------------------------------------------------------------


@pytest.fixture
def under_way(s3_server: S3Server) -> Callable[[BlobKey], bool]:
    """Return a check whether the server has parts of an unfinished upload to a key."""

    def look(key: BlobKey) -> bool:
        uploads = s3_server.client().list_multipart_uploads(Bucket=s3_server.bucket)
        return any(upload["Key"].endswith(key.name) for upload in uploads.get("Uploads", []))

    return look


async def test_an_abort_deletes_the_parts(
    blobs: BlobStore, under_way: Callable[[BlobKey], bool]
) -> None:
    key = BlobKey(BlobKind.XORB, "1" * 64)
    writer = blobs.writer(key, AnyBytes())
    await in_thread(lambda: writer.write(noise(9 * MIB)))
    assert under_way(key)
    await in_thread(writer.abort)
    assert not under_way(key)


async def test_a_sweep_deletes_abandoned_parts(
    blobs: BlobStore, under_way: Callable[[BlobKey], bool]
) -> None:
    key = BlobKey(BlobKind.XORB, "2" * 64)
    writer = blobs.writer(key, AnyBytes())
    await in_thread(lambda: writer.write(noise(9 * MIB)))
    assert await blobs.sweep(3600) == 0
    assert under_way(key)
    assert await blobs.sweep(-60) == 1
    assert not under_way(key)


async def test_two_prefixes_are_separate(s3_server: S3Server) -> None:
    url = s3_server.fresh_url()
    first = open_blobs(url, options=s3_server.options)
    second = open_blobs(f"{url}/inner", options=s3_server.options)
    key = await put(first, b"first")
    assert await second.size(key) is None
    assert [stored async for stored in second.keys(BlobKind.LFS)] == []


@pytest.mark.parametrize("prefix", ["a//b", "..", "a/./b", "ä", "a b", "a?b", "a%25b"])
def test_prefixes_that_servers_change_are_refused(prefix: str) -> None:
    with pytest.raises(InvalidInput):
        open_blobs(f"s3://bucket/{prefix}")


# -- a store that misbehaves --------------------------------------------------------------------


@pytest.fixture
def proxied(s3_server: S3Server, run: Callable[..., object]) -> Iterator[tuple[BlobStore, S3Proxy]]:
    with running_s3_proxy(s3_server.options) as proxy:
        bucket = s3_server.fresh_url()
        store = open_blobs(bucket, options=replace(proxy.options, timeout_s=5.0))
        yield store, proxy
        run(store.close())


@pytest.mark.parametrize("size", [10, 9 * MIB])
async def test_a_write_acknowledged_with_a_wrong_etag_is_not_believed(
    proxied: tuple[BlobStore, S3Proxy], size: int
) -> None:
    """A large object is acknowledged by parts."""
    store, proxy = proxied
    data = noise(size)
    proxy.misbehave("PUT", "/lfs/", "etag")
    with pytest.raises(Unavailable, match="other bytes"):
        await put(store, data)
    assert await store.size(lfs(data)[0]) is None
    proxy.behave()
    assert await read(store, await put(store, data)) == data


@pytest.mark.parametrize("way", ["error", "cut"])
async def test_a_store_that_fails_in_a_read_is_unavailable_and_yields_no_wrong_byte(
    proxied: tuple[BlobStore, S3Proxy], way: str
) -> None:
    store, proxy = proxied
    data = noise(100_000)
    blob = await store.open(await put(store, data))
    proxy.misbehave("GET", "/lfs/", way)
    received = bytearray()

    async def receive() -> None:
        async for chunk in blob.chunks():
            received.extend(chunk)

    with pytest.raises(Unavailable):
        await receive()
    assert data.startswith(received)
