"""Rights on the Xet wire: every route, every standing, every state of a token."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest
from tests.support.http import Response
from tests.support.hub import ThreadHub
from tests.support.person import Person
from tests.support.xet import Cas, a_model, cas_for, chunks
from tests.support.xet_files import (
    SampleXorb,
    a_file,
    a_shard,
    a_xorb,
    file_entry,
    shard_of,
    xorb_entry,
)
from tests.wire.xet.conftest import XetModel

from hubstead.accounts import open_org_as_operator, remove_member, revoke_token
from hubstead.db import Tx
from hubstead.repos import Right
from hubstead.wire import Route
from hubstead.wire.xet import ROUTES
from hubstead.wire.xet.routes import CAS
from hubstead.xet import Term

#: The routes that need a token.
BY_PASS = {
    route.name: route
    for route in ROUTES
    if route.pattern.startswith(CAS) and not re.search("bytes|telemetry", route.pattern)
}
WRITING = {name for name, route in BY_PASS.items() if route.method in ("POST", "PUT")}
STANDINGS: dict[str, Right | None] = {
    "anonymous": None,
    "stranger": None,
    "read": Right.READ,
    "contributor": Right.READ,
    "write": Right.WRITE,
    "admin": Right.ADMIN,
    "owner": Right.ADMIN,
    "owner with a read token": Right.READ,
}
PUBLIC, PRIVATE, GATED = "bert-open", "bert-hush", "bert-gate"


@dataclass
class XetOrg:
    """An organization with a model of each visibility, and users of every standing."""

    hub: ThreadHub
    owner: Person
    org: str
    people: dict[str, Person | None]
    tokens: dict[tuple[str, str, bool], Cas] = field(default_factory=dict)

    def cas(self, who: str, name: str, *, write: bool) -> Cas:
        """Return the wire with a token as issued to a user with every right."""
        key = who, name, write
        if key not in self.tokens:
            repo_id, holder = f"{self.org}/{name}", self.people[who]
            self.tokens[key] = cas_for(self.hub, self.owner, repo_id, write=write, to=holder)
        return self.tokens[key]


@pytest.fixture(scope="module")
def acme(live_hub: ThreadHub) -> XetOrg:
    people = {role: live_hub.user(role) for role in ("read", "contributor", "write", "admin")}
    owner = live_hub.user("owner")
    org = live_hub.org(owner, people)
    for name in (PUBLIC, PRIVATE, GATED):
        owner.api.create_repo(f"{org}/{name}", private=name == PRIVATE)
        if name == GATED:
            owner.api.update_repo_settings(f"{org}/{name}", gated="auto")
    others = {
        "anonymous": None,
        "stranger": live_hub.user("stranger"),
        "owner": owner,
        "owner with a read token": owner.with_token("read"),
    }
    return XetOrg(live_hub, owner, org, {**people, **others})


def ask(cas: Cas, route: Route) -> int:
    """Call a route about missing objects, and return the status."""
    path = re.sub(r"\{\w+\}", "ab" * 32, route.pattern.removeprefix(CAS))
    return cas.call(route.method, path, b"{}" if route.name in WRITING else None).status


def test_every_path_of_every_release_is_routed() -> None:
    known = {route.name.replace(CAS, "") for route in ROUTES}
    for name in (
        "POST /xorb/default/{hash}",
        "POST /xorbs/default/{hash}",
        "POST /v1/xorb/default/{hash}",
        "POST /v1/xorbs/default/{hash}",
        "POST /shard/default/{hash}",
        "PUT /shard/default/{hash}",
        "POST /shards",
        "POST /v1/shard",
        "POST /v1/shards",
        "POST /v2/shards",
        "GET /chunk/default/{hash}",
        "GET /chunks/default/{hash}",
        "GET /v1/chunk/default/{hash}",
        "GET /v1/chunks/default/{hash}",
        "GET /v1/chunks/default-merkledb/{hash}",
        "GET /reconstruction/{file}",
        "GET /reconstructions/{file}",
        "GET /v1/reconstruction/{file}",
        "GET /v1/reconstructions/{file}",
        "GET /v2/reconstructions/{file}",
        "GET /v1/reconstructions",
        "HEAD /v1/xorbs/default/{hash}",
        "HEAD /v1/files/{file}",
        "POST /v1/xorb-grants/default/{hash}",
        "POST /v1/xorb-commits/default/{hash}/grant/{id}",
        "GET /v2/file-chunk-hashes/{file}",
        "POST /v1/telemetry",
    ):
        assert name in known
    assert "POST /v1/telemetry" in {route.name for route in ROUTES}


@pytest.mark.parametrize("name", BY_PASS)
def test_a_route_serves_exactly_those_with_its_right(acme: XetOrg, name: str) -> None:
    route, writes = BY_PASS[name], name in WRITING
    for who, standing in STANDINGS.items():
        for visibility in (PUBLIC, PRIVATE, GATED):
            for write in (False, True):
                status = ask(acme.cas(who, visibility, write=write), route)
                case = who, visibility, write, status
                if writes and not write:
                    assert status == 403, case
                elif standing is None and visibility == PRIVATE:
                    assert status == 404, case
                elif standing is None and visibility == GATED:
                    assert status == 403, case
                elif writes and who == "anonymous":
                    assert status == 401, case
                elif writes and (standing is None or standing < Right.WRITE):
                    assert status == 403, case
                else:
                    assert status not in (401, 403), case
                    assert status < 500, case


@pytest.mark.parametrize("name", BY_PASS)
def test_every_route_requires_a_valid_token(acme: XetOrg, name: str) -> None:
    good = acme.cas("owner", PUBLIC, write=True)
    over = cas_for(acme.hub, acme.owner, f"{acme.org}/{PUBLIC}", seconds=-5)
    for text in ("", "nonsense", good.xet_token[:-2], acme.owner.token, over.xet_token):
        assert ask(good.at(xet_token=text), BY_PASS[name]) == 401
    basic = {"Authorization": f"Basic {good.xet_token}"}
    path = re.sub(r"\{\w+\}", "ab" * 32, BY_PASS[name].pattern.removeprefix(CAS))
    assert good.at(xet_token="").call(BY_PASS[name].method, path, **basic).status == 401


@pytest.mark.parametrize("name", BY_PASS)
def test_another_epoch_or_scope_is_refused(acme: XetOrg, name: str) -> None:
    good = acme.cas("owner", PUBLIC, write=True)
    for other in (
        good.at(epoch="0" * len(good.epoch)),
        good.at(epoch=good.epoch.upper() + "x"),
        good.at(scope="other"),
        good.at(epoch="..", scope=".."),
    ):
        assert ask(other, BY_PASS[name]) == 404


# -- a token is for one repository -------------------------------------------------------------


def test_content_of_another_repository_looks_missing(sample: XetModel) -> None:
    file, xorb = a_model("elsewhere")
    sample.cas().upload(file, xorbs=(xorb,))
    other = sample.anna.repo("other")
    elsewhere = sample.cas(repo=other)
    for version in (1, 2):
        hidden = elsewhere.plan(file, version)
        none = elsewhere.call("GET", f"/v{version}/reconstructions/{'ab' * 32}")
        assert (hidden.status, hidden.body) == (none.status, none.body) == (404, none.body)
    assert elsewhere.call("HEAD", f"/v1/files/{file.name}").status == 404
    names = f"/v1/reconstructions?file_id={file.name}"
    assert elsewhere.call("GET", names).json == {"files": {}, "fetch_info": {}}


def test_an_upload_does_not_disclose_what_others_stored(sample: XetModel) -> None:
    file, xorb = a_model("stored by anna")
    hidden = sample.anna.repo("hidden", private=True)
    sample.cas(repo=hidden).upload(file, xorbs=(xorb,))
    ben = sample.hub.user("ben")
    own = sample.cas(ben, repo=ben.repo())
    for new in (True, False):
        assert own.send(xorb).json == {"was_inserted": new}
        assert own.register(file, xorbs=(xorb,)).json == {"result": int(new)}


def test_refusals_of_shards_do_not_tell_whether_a_foreign_xorb_is_stored(
    sample: XetModel,
) -> None:
    _, stored = a_model("foreign")
    assert sample.cas(repo=sample.anna.repo("hidden", private=True)).send(stored).status == 200
    ben = sample.hub.user("ben")
    own = sample.cas(ben, repo=ben.repo())
    own_file, own_xorb = a_model("of ben")
    assert own.send(own_xorb).status == 200
    absent, other = a_xorb(chunks(3, "nowhere")), a_xorb(chunks(3, "nowhere either"))

    def guesses(xorb: SampleXorb) -> list[bytes]:
        """Return shards of a caller who knows the name of a xorb and none of its chunks."""
        count = len(absent.chunks)
        lies = [(0, count), (0, 1), (0, 4000)]
        terms = [[Term(xorb.raw, start, end, 1)] for start, end in lies]
        return [
            *(shard_of([file_entry(bytes([7] * 32), term, bytes(32))]) for term in terms),
            shard_of([], [xorb_entry(SampleXorb(absent.chunks, xorb.raw, b"", absent.index))]),
            # A second xorb, which is stored nowhere, must not betray the first.
            shard_of([], [xorb_entry(SampleXorb(other.chunks, xorb.raw, b"", other.index)),
                          xorb_entry(other)]),
            shard_of([file_entry(own_file.raw, own_file.terms, own_file.range_hashes)],
                     [xorb_entry(SampleXorb(other.chunks, xorb.raw, b"", other.index))]),
        ]  # fmt: skip

    for hit, miss in zip(guesses(stored), guesses(absent), strict=True):
        for version in (1, 2):
            there = own.call("POST", f"/v{version}/shards", hit)
            none = own.call("POST", f"/v{version}/shards", miss)
            assert (there.status, _ending(there)) == (none.status, _ending(none))
            assert b"refused" in _ending(there)


def _ending(response: Response) -> bytes:
    """Return the last line of a body, after lines of progress."""
    return response.body.strip().rpartition(b"\n")[2]


def test_uncommitted_content_is_only_for_writers(sample: XetModel) -> None:
    file, xorb = a_model("uncommitted")
    writing, reading = sample.cas(), sample.cas(write=False)
    writing.upload(file, xorbs=(xorb,))
    assert writing.plan(file).status == 200
    assert reading.plan(file).status == 404
    pointer = {"path": "a.bin", "algo": "sha256", "oid": file.sha256, "size": len(file.content)}
    response = sample.anna.commit(sample.repo_id, {"key": "lfsFile", "value": pointer})
    assert response.status == 200, response.body
    assert reading.plan(file).status == 200


def test_a_shard_replayed_with_another_token_registers_there_only(
    sample: XetModel,
) -> None:
    """Terms are accepted on their range hash alone, so this is an upload like any other."""
    file, xorb = a_model("replayed")
    sample.cas().upload(file, xorbs=(xorb,))
    bo = sample.hub.user("bo")
    his = sample.cas(bo, repo=bo.repo("bert"))
    assert his.register(file).status == 200
    assert his.plan(file).status == 200
    reading = sample.cas(sample.hub.user("cy"), repo=sample.repo_id, write=False)
    assert reading.plan(file).status == 404


def test_a_read_token_registers_nothing(sample: XetModel) -> None:
    file, xorb = a_model("reading")
    reading = sample.cas(write=False)
    before = sample.hub.traces()
    assert reading.send(xorb).status == 403
    assert reading.register(file).status == 403
    assert reading.call("POST", "/v2/shards", a_shard([file])).status == 403
    assert sample.hub.traces() == before


# -- lost rights ---------------------------------------------------------------------------------


def test_addresses_of_a_reconstruction_end_with_the_rights_of_their_user(
    live_hub: ThreadHub,
) -> None:
    owner, bo = live_hub.user("owner"), live_hub.user("bo")
    org = live_hub.org(owner, {"write": bo})
    owner.api.create_repo(f"{org}/bert", private=True)
    file, xorb = a_model("lost")
    cas = cas_for(live_hub, bo, f"{org}/bert")
    cas.upload(file, xorbs=(xorb,))
    ((entry,),) = cas.plan(file).json["xorbs"].values()
    assert cas.fetch(entry["url"]).status == 206

    async def leave(tx: Tx) -> None:
        await remove_member(tx, await open_org_as_operator(tx, org), bo.pk)

    live_hub.write(leave)
    assert cas.fetch(entry["url"]).status == 403
    assert cas.plan(file).status == 404
    assert cas.register(file).status == 404


def test_addresses_of_a_reconstruction_end_with_the_token(sample: XetModel) -> None:
    file, xorb = a_model("token")
    cas = sample.cas()
    cas.upload(file, xorbs=(xorb,))
    ((entry,),) = cas.plan(file).json["xorbs"].values()

    async def revoke(tx: Tx) -> None:
        await revoke_token(tx, sample.anna.token)

    sample.hub.write(revoke)
    assert cas.fetch(entry["url"]).status == 403
    assert cas.plan(file).status == 401


def test_tokens_are_invalid_after_their_repository_is_deleted(sample: XetModel) -> None:
    file, xorb = a_model("deleted")
    cas = sample.cas()
    cas.upload(file, xorbs=(xorb,))
    ((entry,),) = cas.plan(file).json["xorbs"].values()
    sample.anna.api.delete_repo(sample.repo_id)
    assert cas.fetch(entry["url"]).status == 403
    assert cas.plan(file).status == 404
    assert cas.send(xorb).status == 404
    assert cas.register(a_file((xorb, 0, 1))).status == 404


# -- telemetry ---------------------------------------------------------------------------------


@pytest.mark.parametrize("below", ["", f"/xet/{'0' * 8}/hub"])
def test_telemetry_is_accepted_from_all_clients_and_discarded(sample: XetModel, below: str) -> None:
    before = sample.hub.traces()
    for body in (b"{}", b"not json", b"x" * 300_000, None):
        response = sample.hub.call("POST", f"{below}/v1/telemetry", body)
        assert response.status == 200
    assert sample.hub.traces() == before
    assert sample.hub.call("GET", f"{below}/v1/telemetry").status == 405
