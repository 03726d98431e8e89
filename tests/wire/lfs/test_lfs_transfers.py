"""Uploads and downloads by signed addresses, on every kind of store."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from tests.support.factories import an_org
from tests.support.lfs import (
    LFS,
    LfsHub,
    MultipartUpload,
    in_client_thread,
    key_of,
    lfs_objects,
    noise,
    oid_of,
)

from hubstead.accounts import (
    HubSigner,
    SigningKey,
    disable_user,
    list_tokens,
    open_org_as_operator,
    remove_member,
    revoke_token,
)
from hubstead.blobs import linked, open_blob
from hubstead.errors import BlobNotFound
from hubstead.repos import Repo, SettingsChange, change_settings, remove_repo

DATA = noise(3_500_001)
SMALL = noise(10, seed=1)
LARGE = noise(12_345)


async def stored(live: LfsHub, data: bytes) -> bytes | None:
    try:
        blob = await open_blob(live.db, live.store, key_of(data))
    except BlobNotFound:
        return None
    return b"".join([chunk async for chunk in blob.chunks()])


async def nothing_is_left(live: LfsHub) -> None:
    rows = await live.rows()
    assert rows["blob"] == rows["repo_blob"] == rows["hold"] == rows["stored"] == 0
    assert live.leftovers() == []


# -- whole uploads --------------------------------------------------------------------------


async def test_an_uploaded_object_belongs_to_the_repository(everywhere: LfsHub, bert: Repo) -> None:
    response = await everywhere.put(DATA)
    assert (response.status, response.body) == (200, b"")
    assert await stored(everywhere, DATA) == DATA
    row = await linked(everywhere.db, bert.pk, key_of(DATA))
    assert row
    assert (row.bytes, row.committed) == (len(DATA), 0)
    assert everywhere.leftovers() == []


async def test_an_empty_object_can_be_uploaded(everywhere: LfsHub, bert: Repo) -> None:
    assert (await everywhere.put(b"")).status == 200
    assert await stored(everywhere, b"") == b""


async def test_wrong_bytes_leave_nothing(everywhere: LfsHub, bert: Repo) -> None:
    href = (await everywhere.upload_action(DATA))["href"]
    response = await everywhere.call("PUT", href, b"\0" + DATA[1:])
    assert response.status == 400
    assert "sha256" in response.json["message"]
    await nothing_is_left(everywhere)
    assert (await everywhere.call("PUT", href, DATA)).status == 200


async def test_another_length_is_refused_before_the_body_is_read(live: LfsHub, bert: Repo) -> None:
    href = (await live.upload_action(SMALL))["href"]
    for wrong in (SMALL + b"!", SMALL[:-1]):
        response = await live.call("PUT", href, wrong)
        assert response.status == 400
        assert "10 bytes" in response.json["message"]
    head = await in_client_thread(_announce, live.port, href, 1 << 40)
    assert head.startswith(b"HTTP/1.1 400")
    await nothing_is_left(live)


def _announce(port: int, href: str, size: int) -> bytes:
    """Send a head that announces ``size`` bytes, and no body."""
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        target = href.partition(f":{port}")[2]
        sock.sendall(f"PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
        return sock.recv(4096)


async def test_a_chunked_body_of_the_right_length_is_accepted(live: LfsHub, bert: Repo) -> None:
    href = (await live.upload_action(DATA))["href"]
    for sent, status in ((DATA + b"!", 413), (DATA[:-1], 400), (DATA, 200)):
        assert await in_client_thread(_chunked, live.port, href, sent) == status
    assert await stored(live, DATA) == DATA


def _chunked(port: int, href: str, data: bytes) -> int:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    pieces = (data[at : at + 65536] for at in range(0, len(data), 65536))
    connection.request("PUT", href.partition(f":{port}")[2], pieces, encode_chunked=True)
    status = connection.getresponse().status
    connection.close()
    return status


async def test_a_truncated_upload_leaves_nothing(everywhere: LfsHub, bert: Repo) -> None:
    href = (await everywhere.upload_action(DATA))["href"]
    await in_client_thread(_cut_short, everywhere.port, href, DATA)
    for _ in range(200):
        await asyncio.sleep(0.01)
        if not everywhere.leftovers():
            break
    await nothing_is_left(everywhere)


def _cut_short(port: int, href: str, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        target = href.partition(f":{port}")[2]
        head = f"PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
        sock.sendall(head.encode() + data[: len(data) // 2])
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(1 << 16):  # until the server has ended the request
            pass


async def test_an_address_can_be_used_twice(live: LfsHub, bert: Repo) -> None:
    href = (await live.upload_action(SMALL))["href"]
    assert [(await live.call("PUT", href, SMALL)).status for _ in range(2)] == [200, 200]


async def test_the_same_object_is_uploaded_to_two_repositories_concurrently(
    everywhere: LfsHub, bert: Repo
) -> None:
    other = await everywhere.a_repo("anna/other")
    hrefs = [
        (await everywhere.upload_action(DATA, repo=repo))["href"]
        for repo in ("anna/bert", "anna/other")
    ]
    responses = await asyncio.gather(*(everywhere.call("PUT", href, DATA) for href in hrefs * 2))
    assert [response.status for response in responses] == [200] * 4
    for repo in (bert, other):
        assert await linked(everywhere.db, repo.pk, key_of(DATA))
    assert await stored(everywhere, DATA) == DATA
    assert everywhere.leftovers() == []


# -- signatures and rights ------------------------------------------------------------------


async def test_credentials_beside_a_signature_are_ignored(live: LfsHub, bert: Repo) -> None:
    href = (await live.upload_action(SMALL))["href"]
    response = await live.call("PUT", href, SMALL, headers={"Authorization": "Bearer wrong"})
    assert response.status == 200


async def test_forged_addresses_are_refused(live: LfsHub, bert: Repo) -> None:
    href = (await live.upload_action(SMALL))["href"]
    await live.commit_after_put(bert, LARGE)
    [other] = (await live.batch("download", lfs_objects(LARGE))).json["objects"]
    foreign = other["actions"]["download"]["href"].partition("sig=")[2]
    base, _, signature = href.partition("sig=")
    stolen = f"/api/lfs/upload/{oid_of(LARGE)}?sig={signature}"
    for forged in (
        base.rstrip("?"),
        f"{base}sig=",
        f"{base}sig={signature[:-9]}{'A' if signature[-9] != 'A' else 'B'}{signature[-8:]}",
        f"{base}sig=x{signature}",
        f"{base}sig={foreign}",
        stolen,
    ):
        response = await live.call("PUT", forged, SMALL)
        assert response.status == 401, forged
        assert "signed address" in response.json["message"]
        assert response.headers["content-type"] == LFS


async def test_a_signature_of_another_hub_is_refused(live: LfsHub, bert: Repo) -> None:
    from hubstead.wire.lfs.signed_urls import UPLOAD, UrlGrant

    grant = UrlGrant(bert.id, oid_of(SMALL), len(SMALL), live.people["anna"].pk)
    forged = HubSigner([SigningKey("0000", "guess")]).sign(grant, purpose=UPLOAD, seconds=60)
    response = await live.call("PUT", f"/api/lfs/upload/{oid_of(SMALL)}?sig={forged}", SMALL)
    assert response.status == 401


async def test_an_expired_address_is_refused(serve: Any) -> None:
    live = await serve("local", signed_url_seconds=1)
    await live.a_repo()
    href = (await live.upload_action(SMALL))["href"]
    await asyncio.sleep(2.05)  # the expiry is in whole seconds
    assert (await live.call("PUT", href, SMALL)).status == 401


async def test_a_disabled_user_cannot_upload(live: LfsHub, bert: Repo) -> None:
    href = (await live.upload_action(SMALL))["href"]
    parts = await live.begin(LARGE)
    await live.db.write(lambda tx: disable_user(tx, "anna"))
    assert (await live.call("PUT", href, SMALL)).status == 401
    assert (await parts.send(1)).status == 401
    assert (await parts.complete()).status == 401
    await nothing_is_left(live)


async def test_a_revoked_token_invalidates_its_addresses(live: LfsHub, bert: Repo) -> None:
    href = (await live.upload_action(SMALL))["href"]
    [token] = await list_tokens(live.db, "anna")
    await live.db.write(lambda tx: revoke_token(tx, token.id))
    assert (await live.call("PUT", href, SMALL)).status == 401


async def test_a_user_who_lost_the_right_since_the_batch_cannot_upload(live: LfsHub) -> None:
    await an_org(live.db, "acme", live.people["anna"], {"write": live.people["bo"]})
    live.people["acme"] = live.people["anna"]
    await live.a_repo("acme/bert", private=True)
    href = (await live.upload_action(SMALL, by="bo", repo="acme/bert"))["href"]
    parts = await live.begin(LARGE, by="bo", repo="acme/bert")
    assert (await parts.send(1)).status == 200
    bo = live.people["bo"]
    acme = await open_org_as_operator(live.db, "acme")
    await live.db.write(lambda tx: remove_member(tx, acme, bo.pk))
    assert (await live.call("PUT", href, SMALL)).status == 404
    assert (await parts.send(2)).status == 404
    assert (await parts.complete()).status == 404
    await nothing_is_left(live)


async def test_an_address_is_invalid_after_its_repository_is_deleted(
    live: LfsHub, bert: Repo
) -> None:
    href = (await live.upload_action(SMALL))["href"]

    await live.db.write(lambda tx: remove_repo(tx, bert))
    await live.a_repo()
    assert (await live.call("PUT", href, SMALL)).status == 404
    await nothing_is_left(live)


# -- multipart uploads ----------------------------------------------------------------------


@pytest.fixture
def parts(everywhere: LfsHub, bert: Repo, run: Any) -> MultipartUpload:
    """A new upload of thirteen parts."""
    begun: MultipartUpload = run(everywhere.begin(LARGE))
    return begun


async def test_parts_may_be_sent_in_any_order(
    everywhere: LfsHub, bert: Repo, parts: MultipartUpload
) -> None:
    await parts.send_all(order=[13, 1, 7, 2, 12, 3, 11, 4, 10, 5, 9, 6, 8])
    assert all(len(etag) > 2 and etag[0] == etag[-1] == '"' for etag in parts.etags.values())
    assert (await parts.complete()).status == 200
    assert await stored(everywhere, LARGE) == LARGE
    assert await linked(everywhere.db, bert.pk, key_of(LARGE))
    assert (await everywhere.rows())["upload"] == 0
    [body] = (await everywhere.batch("upload", lfs_objects(LARGE))).json["objects"]
    assert "actions" not in body


async def test_parts_may_be_sent_in_parallel(everywhere: LfsHub, parts: MultipartUpload) -> None:
    responses = await asyncio.gather(*(parts.send(number) for number in parts.numbers))
    assert {response.status for response in responses} == {200}
    assert (await parts.complete()).status == 200
    assert await stored(everywhere, LARGE) == LARGE


async def test_a_part_may_be_sent_again(everywhere: LfsHub, parts: MultipartUpload) -> None:
    await parts.send_all()
    first = parts.etags[3]
    await parts.send(3)
    assert parts.etags[3] == first
    assert (await parts.complete()).status == 200


async def test_repeated_and_parallel_completions_succeed(
    everywhere: LfsHub, parts: MultipartUpload
) -> None:
    await parts.send_all()
    responses = await asyncio.gather(*(parts.complete() for _ in range(3)))
    assert [response.status for response in responses] == [200] * 3
    assert (await parts.complete()).status == 200
    assert await stored(everywhere, LARGE) == LARGE


async def test_a_missing_part_can_still_be_sent(everywhere: LfsHub, parts: MultipartUpload) -> None:
    await parts.send_all(order=[n for n in parts.numbers if n != 5])
    assert (await parts.complete()).status == 400
    parts.etags[5] = '"wrong"'
    response = await parts.complete()
    assert response.status == 400
    assert "part 5" in response.json["message"]
    await parts.send(5)
    assert (await parts.complete()).status == 200


async def test_a_wrong_etag_is_refused(everywhere: LfsHub, parts: MultipartUpload) -> None:
    await parts.send_all()
    right = parts.etags[2]
    parts.etags[2] = parts.etags[1]
    response = await parts.complete()
    assert response.status == 400
    assert "part 2" in response.json["message"]
    parts.etags[2] = right
    assert (await parts.complete()).status == 200


async def test_the_agent_of_git_lfs_may_send_no_etags(
    everywhere: LfsHub, parts: MultipartUpload
) -> None:
    await parts.send_all()
    unknown = [{"partNumber": n, "etag": None} for n in parts.numbers]
    assert (await parts.complete(parts=unknown)).status == 200


@pytest.mark.parametrize("change", [{"oid": "0" * 64}, {"parts": []}, {"parts": "all"}])
async def test_an_inconsistent_completion_is_refused(
    live: LfsHub, bert: Repo, change: dict[str, Any]
) -> None:
    parts = await live.begin(LARGE)
    await parts.send_all()
    assert (await parts.complete(**change)).status == 400
    assert (await parts.complete()).status == 200


async def test_wrong_parts_leave_nothing_and_can_be_sent_again(
    everywhere: LfsHub, bert: Repo, parts: MultipartUpload
) -> None:
    await parts.send_all()
    await parts.send(4, b"\0" * 1000)
    response = await parts.complete()
    assert response.status == 400
    assert "sha256" in response.json["message"]
    await nothing_is_left(everywhere)
    again = await everywhere.begin(LARGE)
    await again.send_all()
    assert (await again.complete()).status == 200


async def test_a_part_of_another_size_is_refused(live: LfsHub, bert: Repo) -> None:
    parts = await live.begin(LARGE)
    for number, data in ((1, b"x" * 999), (1, b"x" * 1001), (13, b"x" * 1000), (13, b"x" * 344)):
        assert (await parts.send(number, data)).status == 400
    assert (await parts.send(13)).status == 200


async def test_only_the_announced_parts_are_accepted(live: LfsHub, bert: Repo) -> None:
    parts = await live.begin(LARGE)
    url = parts.action["header"]["00001"]
    for number in ("0", "14", "-1", "x", "1e3", "99999999999"):
        response = await live.call("PUT", url.replace("/1?", f"/{number}?"), b"x" * 1000)
        assert response.status == 400


async def test_an_interrupted_upload_is_resumed(
    everywhere: LfsHub, bert: Repo, parts: MultipartUpload
) -> None:
    await parts.send_all(order=[1, 2, 3])
    again = await everywhere.begin(LARGE)
    assert again.action["href"].partition("?")[0] == parts.action["href"].partition("?")[0]
    assert again.numbers == parts.numbers
    assert (await everywhere.rows())["upload"] == 1
    await again.send_all(order=again.numbers[3:])
    again.etags |= parts.etags
    assert (await again.complete()).status == 200


async def test_uploads_of_two_repositories_are_separate(live: LfsHub, bert: Repo) -> None:
    await live.a_repo("anna/other")
    own, other = await live.begin(LARGE), await live.begin(LARGE, repo="anna/other")
    assert own.action["href"].partition("?")[0] != other.action["href"].partition("?")[0]
    _, _, signature = own.action["href"].partition("?")
    stolen = other.action["href"].partition("?")[0] + f"/1?{signature}"
    assert (await live.call("PUT", stolen, b"x" * 1000)).status == 401


async def test_a_deleted_object_can_be_uploaded_in_parts_again(
    everywhere: LfsHub, bert: Repo, parts: MultipartUpload
) -> None:
    from hubstead.blobs import delete_unreferenced, unlink_blobs

    await parts.send_all()
    await parts.complete()
    await everywhere.db.write(lambda tx: unlink_blobs(tx, bert.pk, [key_of(LARGE)]))
    await asyncio.sleep(0.01)
    assert await delete_unreferenced(everywhere.db, everywhere.store, grace_ms=0) == 1
    assert (await parts.complete()).status == 503  # it is deleted, which the client has to learn
    again = await everywhere.begin(LARGE)
    await again.send_all()
    assert (await again.complete()).status == 200
    assert await stored(everywhere, LARGE) == LARGE


# -- downloads ------------------------------------------------------------------------------


async def _address(live: LfsHub, data: bytes, **how: Any) -> str:
    [entry] = (await live.batch("download", lfs_objects(data), **how)).json["objects"]
    return str(entry["actions"]["download"]["href"])


async def test_anyone_may_download_public_objects(everywhere: LfsHub, bert: Repo) -> None:
    await everywhere.commit_after_put(bert, DATA)
    href = await _address(everywhere, DATA, by=None)
    response = await everywhere.call("GET", href, headers={"Authorization": "Bearer wrong"})
    assert (response.status, response.body) == (200, DATA)
    assert response.headers["etag"] == f'"{oid_of(DATA)}"'


async def test_a_range_and_the_size_are_available(everywhere: LfsHub, bert: Repo) -> None:
    await everywhere.commit_after_put(bert, DATA)
    href = await _address(everywhere, DATA)
    response = await everywhere.call("GET", href, headers={"Range": "bytes=1000000-"})
    assert (response.status, response.body) == (206, DATA[1_000_000:])
    assert response.headers["content-range"] == f"bytes 1000000-{len(DATA) - 1}/{len(DATA)}"
    response = await everywhere.call("GET", href, headers={"Range": f"bytes={len(DATA)}-"})
    assert response.status == 416
    response = await everywhere.call("HEAD", href)
    assert (response.status, response.headers["content-length"]) == (200, str(len(DATA)))


async def test_an_object_of_a_private_repository_is_no_longer_served(
    live: LfsHub, bert: Repo
) -> None:
    await live.commit_after_put(bert, SMALL)
    anyone, bo = await _address(live, SMALL, by=None), await _address(live, SMALL, by="bo")
    anna = live.people["anna"]
    hide = SettingsChange(private=True)
    await change_settings(live.db, anna, bert.repo_id, hide)
    hrefs = (anyone, bo, await _address(live, SMALL))
    assert [(await live.call("GET", href)).status for href in hrefs] == [401, 404, 200]


async def test_a_download_address_accepts_no_upload(live: LfsHub, bert: Repo) -> None:
    await live.commit_after_put(bert, SMALL)
    href = await _address(live, SMALL)
    assert (await live.call("PUT", href.replace("/download/", "/upload/"), SMALL)).status == 401


async def test_clients_are_redirected_to_the_object_store_if_so_configured(serve: Any) -> None:
    import urllib.request

    live = await serve("s3", s3_direct_downloads=True)
    bert = await live.a_repo()
    await live.commit_after_put(bert, SMALL)
    response = await live.call("GET", await _address(live, SMALL))
    assert response.status == 302
    stale = {"If-Match": '"stale"', "Range": "bytes=1-2"}
    refused = await live.call("GET", await _address(live, SMALL), headers=stale)
    assert refused.status == 412
    read = await in_client_thread(
        lambda: urllib.request.urlopen(response.headers["location"]).read()
    )
    assert read == SMALL
