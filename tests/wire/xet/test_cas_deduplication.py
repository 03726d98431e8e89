"""Deduplication responses and grants: the chunks that clients may and may not learn about."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from tests.support.http import Response
from tests.support.hub import ThreadHub
from tests.support.person import Person
from tests.support.xet import Cas, a_model, cas_for, chunks
from tests.support.xet_files import SampleFile, SampleXorb, a_file, a_shard, a_xorb
from tests.wire.xet.conftest import XetModel

from hubstead.xet import chunk_hash, keyed_hash, parse_shard, to_text

_FOOTER = struct.Struct("<9Q32s2Q48x4Q")


def chunks_in(response: Response) -> list[tuple[bytes, int]]:
    """Return the hashes of the xorb in a response, and its length."""
    assert response.status == 200, response.body
    assert response.headers["content-type"] == "application/octet-stream"
    shard = parse_shard(response.body)
    assert not shard.files
    (xorb,) = shard.xorbs
    hashes = xorb.hashes()
    return [(hashes[at : at + 32], len(xorb)) for at in range(0, len(hashes), 32)]


def key_of(response: Response) -> bytes:
    footer = _FOOTER.unpack(response.body[-_FOOTER.size :])
    key: bytes = footer[9]
    return key


def known(response: Response, contents: list[bytes]) -> list[bool]:
    """Return which chunks the response lists, for a client that has them."""
    hashes = {hash_ for hash_, _ in chunks_in(response)}
    return [keyed_hash(key_of(response), chunk_hash(chunk)) in hashes for chunk in contents]


def ask(cas: Cas, chunk: bytes, prefix: str = "/v1/chunks/default") -> Response:
    return cas.call("GET", f"{prefix}/{to_text(chunk_hash(chunk))}")


def commit(person: Person, repo_id: str, file: SampleFile, path: str = "a.bin") -> None:
    pointer = {"path": path, "algo": "sha256", "oid": file.sha256, "size": len(file.content)}
    response = person.commit(repo_id, {"key": "lfsFile", "value": pointer})
    assert response.status == 200, response.body


@pytest.mark.parametrize(
    "prefix",
    [
        "/v1/chunks/default",
        "/chunks/default",
        "/v1/chunk/default",
        "/chunk/default",
        "/v1/chunks/default-merkledb",
        "/chunks/default-merkledb",
    ],
)
def test_an_uploader_of_a_file_learns_where_its_chunks_are(cas: Cas, prefix: str) -> None:
    file, xorb = a_model("own")
    cas.upload(file, xorbs=(xorb,))
    response = ask(cas, xorb.chunks[0], prefix)
    assert known(response, xorb.chunks) == [True] * 6
    # In clear the response discloses nothing: neither hashes nor the same key twice.
    assert not any(chunk_hash(chunk) in response.body for chunk in xorb.chunks)
    assert key_of(response) != key_of(ask(cas, xorb.chunks[0], prefix))


def test_a_query_for_an_unknown_chunk_is_a_404(cas: Cas) -> None:
    assert ask(cas, b"nowhere").status == 404


def test_only_eligible_chunks_are_looked_up(cas: Cas) -> None:
    file, xorb = a_model("only first")
    cas.upload(file, xorbs=(xorb,))
    assert ask(cas, xorb.chunks[3]).status == 404


def test_a_stranger_learns_only_about_readable_chunks(sample: XetModel) -> None:
    """One xorb, one file of it public, another private."""
    xorb = a_xorb(chunks(6, f"shared {sample.repo_id}"))
    public, private = a_file((xorb, 3, 5)), a_file((xorb, 0, 3))
    hidden = sample.anna.repo("hidden", private=True)
    sample.cas().upload(public, xorbs=(xorb,))
    sample.cas(repo=hidden).upload(private, xorbs=(xorb,))
    bo = sample.hub.user("bo")
    his = sample.cas(bo, repo=bo.repo("bert"))
    assert ask(his, xorb.chunks[3]).status == 404, "nothing is committed yet"
    commit(sample.anna, sample.repo_id, public)
    commit(sample.anna, hidden, private)
    response = ask(his, xorb.chunks[3])
    assert known(response, xorb.chunks) == [False, False, False, True, True, False]
    assert len(chunks_in(response)) == 5, "terms count chunks from the first"
    assert ask(his, xorb.chunks[0]).status == 404
    assert known(ask(sample.cas(repo=hidden), xorb.chunks[0]), xorb.chunks) == [True] * 6


def xorbs_in(response: Response, xorbs: list[SampleXorb]) -> dict[int, list[bool]]:
    """Return which chunks of which xorbs the response lists."""
    assert response.status == 200, response.body
    listed = {entry.hash: entry.hashes() for entry in parse_shard(response.body).xorbs}
    key = key_of(response)
    return {
        at: [keyed_hash(key, chunk_hash(chunk)) in listed[xorb.raw] for chunk in xorb.chunks]
        for at, xorb in enumerate(xorbs)
        if xorb.raw in listed
    }


def test_a_query_lists_the_following_xorbs_of_the_file(cas: Cas) -> None:
    xorbs = [a_xorb(chunks(4, f"following {at} {cas.xet_token}")) for at in range(4)]
    file = a_file((xorbs[0], 0, 4), (xorbs[1], 1, 3), (xorbs[0], 2, 3), (xorbs[2], 0, 4))
    cas.upload(file, xorbs=tuple(xorbs))
    listed = xorbs_in(ask(cas, xorbs[0].chunks[0]), xorbs)
    assert listed == {0: [True] * 4, 1: [True] * 4, 2: [True] * 4}, "the last one is not of it"


def test_a_stranger_learns_only_about_readable_following_xorbs(sample: XetModel) -> None:
    """A private file continues where a public one ends."""
    xorbs = [a_xorb(chunks(4, f"goes on {at} {sample.repo_id}")) for at in range(3)]
    public = a_file((xorbs[0], 0, 4), (xorbs[1], 0, 2))
    private = a_file((xorbs[0], 0, 4), (xorbs[1], 0, 4), (xorbs[2], 0, 4))
    hidden = sample.anna.repo("hidden-too", private=True)
    sample.cas().upload(public, xorbs=(xorbs[0], xorbs[1]))
    sample.cas(repo=hidden).upload(private, xorbs=(xorbs[2],))
    commit(sample.anna, sample.repo_id, public)
    commit(sample.anna, hidden, private)
    bo = sample.hub.user("bo")
    listed = xorbs_in(ask(sample.cas(bo, repo=bo.repo("bert")), xorbs[0].chunks[0]), xorbs)
    assert listed == {0: [True] * 4, 1: [True, True, False, False]}


def test_terms_from_deduplication_are_accepted(sample: XetModel) -> None:
    file, xorb = a_model("dedup")
    sample.cas().upload(file, xorbs=(xorb,))
    commit(sample.anna, sample.repo_id, file)
    bo = sample.hub.user("bo")
    his = sample.cas(bo, repo=bo.repo("bert"))
    assert ask(his, xorb.chunks[0]).status == 200
    part = a_file((xorb, 0, 4))
    assert his.register(part).json == {"result": 1}
    assert his.download(part, (xorb,)) == part.content


def test_chunks_that_become_private_are_hidden_and_still_accepted(sample: XetModel) -> None:
    """A client relies for 21 days on a response."""
    file, xorb = a_model("becomes private")
    sample.cas().upload(file, xorbs=(xorb,))
    commit(sample.anna, sample.repo_id, file)
    bo = sample.hub.user("bo")
    his = sample.cas(bo, repo=bo.repo("bert"))
    assert ask(his, xorb.chunks[0]).status == 200
    sample.anna.api.update_repo_settings(sample.repo_id, private=True)
    assert ask(his, xorb.chunks[0]).status == 404
    assert his.register(a_file((xorb, 0, 5))).status == 200
    sample.anna.api.delete_repo(sample.repo_id)
    assert his.register(a_file((xorb, 1, 5))).status == 200


def test_a_hash_alone_gives_no_access(sample: XetModel) -> None:
    """A client with every name and no bytes can neither register nor read nor query."""
    file, xorb = a_model("names only")
    hidden = sample.anna.repo("hidden", private=True)
    sample.cas(repo=hidden).upload(file, xorbs=(xorb,))
    commit(sample.anna, hidden, file)
    bo = sample.hub.user("bo")
    his = sample.cas(bo, repo=bo.repo("bert"))
    before = sample.hub.traces()
    assert his.plan(file).status == 404
    assert ask(his, xorb.chunks[0]).status == 404
    assert his.call("HEAD", f"/v1/xorbs/default/{xorb.name}").status == 404
    assert grant(his, xorb.name).status == 404
    guessed = SampleFile(file.raw, file.content, file.terms, bytes(32))
    assert his.call("POST", "/v1/shards", a_shard([guessed])).status == 400
    assert sample.hub.traces() == before


# -- the setting -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "own", "other"),
    [("readable", 200, 200), ("repository", 200, 404), ("off", 404, 404)],
)
def test_the_setting_limits_the_responses(
    own_hub: Callable[..., ThreadHub], setting: str, own: int, other: int
) -> None:
    hub = own_hub(xet_deduplication=setting)
    anna = hub.user("anna")
    bert, ernie = anna.repo("bert"), anna.repo("ernie")
    file, xorb = a_model("setting")
    cas = cas_for(hub, anna, bert)
    cas.upload(file, xorbs=(xorb,))
    commit(anna, bert, file)
    assert ask(cas, xorb.chunks[0]).status == own
    assert grant(cas, xorb.name).status == own
    elsewhere = cas_for(hub, anna, ernie)
    assert ask(elsewhere, xorb.chunks[0]).status == other
    assert grant(elsewhere, xorb.name).status == other
    # In each case, the terms of a client are accepted.
    assert elsewhere.register(file).status == 200


# -- grants ------------------------------------------------------------------------------------


def grant(cas: Cas, name: str, length: int = 1) -> Response:
    body = {"length": length, "checksum": {"algo": "crc64nvme", "value": "1"}}
    return cas.call("POST", f"/v1/xorb-grants/default/{name}", body)


def test_a_stored_xorb_need_not_be_sent_again(cas: Cas) -> None:
    file, xorb = a_model("grant")
    assert grant(cas, xorb.name).status == 404
    cas.upload(file, xorbs=(xorb,))
    response = grant(cas, xorb.name)
    assert (response.status, response.body) == (200, b"")


def test_a_xorb_of_others_is_granted_only_if_all_of_it_is_readable(sample: XetModel) -> None:
    file, xorb = a_model("grant of others")
    sample.cas().upload(file, xorbs=(xorb,))
    bo = sample.hub.user("bo")
    his = sample.cas(bo, repo=bo.repo("bert"))
    assert grant(his, xorb.name).status == 404
    commit(sample.anna, sample.repo_id, file)
    assert grant(his, xorb.name).status == 200


def test_a_direct_upload_without_grant_cannot_be_committed(cas: Cas) -> None:
    response = cas.call("POST", f"/v1/xorb-commits/default/{'ab' * 32}/grant/{'cd' * 16}")
    assert response.status == 404


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"length": -1}', b'{"length": "x"}', b"x" * 9]
)
def test_an_invalid_grant_is_refused_or_not_offered(cas: Cas, body: bytes) -> None:
    response = cas.call("POST", f"/v1/xorb-grants/default/{'ab' * 32}", body)
    assert response.status in (400, 404)
