"""Calls the Xet wire of a live hub as clients do, with Xet tokens of any scope."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from hubstead.accounts import ANONYMOUS, authenticate_token
from hubstead.commits import Storage
from hubstead.ids import Kind, RepoId
from hubstead.repos import issue_xet_token, open_repo
from tests.support.http import Response
from tests.support.hub import ThreadHub
from tests.support.person import Person
from tests.support.xet_files import SampleFile, SampleXorb, a_file, a_shard, a_xorb


def noise(size: int, seed: object = 0) -> bytes:
    return random.Random(str(seed)).randbytes(size)


def chunks(count: int, seed: object, size: int = 9000) -> list[bytes]:
    """Return incompressible chunks; no two seeds share one."""
    return [noise(size + at, f"{seed}/{at}") for at in range(count)]


@dataclass(frozen=True)
class Cas:
    """The Xet wire for one caller, with one token for one repository."""

    hub: ThreadHub
    xet_token: str
    epoch: str
    scope: str = "hub"

    @property
    def path(self) -> str:
        return f"/xet/{self.epoch}/{self.scope}"

    @property
    def stores(self) -> Storage:
        return self.hub.hub.stores

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Response:
        return self.hub.call(method, self.path + path, body, token=self.xet_token, **headers)

    def at(self, **changes: Any) -> Cas:
        return replace(self, **changes)

    # -- uploads ---------------------------------------------------------------------------------

    def send(self, xorb: SampleXorb) -> Response:
        return self.call("POST", f"/v1/xorbs/default/{xorb.name}", xorb.body)

    def register(self, *files: SampleFile, xorbs: tuple[SampleXorb, ...] = ()) -> Response:
        return self.call("POST", "/v1/shards", a_shard(files, xorbs))

    def upload(self, *files: SampleFile, xorbs: tuple[SampleXorb, ...]) -> None:
        """Upload whole files, and expect success."""
        for xorb in xorbs:
            response = self.send(xorb)
            assert response.status == 200, response.body
        response = self.register(*files, xorbs=xorbs)
        assert response.status == 200, response.body

    # -- downloads -------------------------------------------------------------------------------

    def plan(self, file: SampleFile, version: int = 2, **headers: str) -> Response:
        return self.call("GET", f"/v{version}/reconstructions/{file.name}", **headers)

    def download(self, file: SampleFile, xorbs: tuple[SampleXorb, ...]) -> bytes:
        """Download a file by its reconstruction: fetch every range and decode it."""
        plan = self.plan(file).json
        known = {xorb.name: xorb for xorb in xorbs}
        for name, entries in plan["xorbs"].items():
            for entry in entries:
                (span,) = entry["ranges"]
                first, last = span["bytes"]["start"], span["bytes"]["end"]
                response = self.fetch(entry["url"], Range=f"bytes={first}-{last}")
                assert response.status == 206
                assert response.body == known[name].body[first : last + 1]
        content = b"".join(
            b"".join(known[term["hash"]].chunks[term["range"]["start"] : term["range"]["end"]])
            for term in plan["terms"]
        )
        return content[plan["offset_into_first_range"] :]

    def fetch(self, url: str, method: str = "GET", **headers: str) -> Response:
        """Request an address of a reconstruction without credentials, as clients do."""
        parts = urlsplit(url)
        return self.hub.call(method, f"{parts.path}?{parts.query}", **headers)


_SAME: Any = object()


def cas_for(
    hub: ThreadHub, person: Person, repo_id: str, *, write: bool = True, to: Any = _SAME, **how: Any
) -> Cas:
    """Return the Xet wire with a token for a repository that ``person`` can see.

    Args:
        to: The user of the token, whose rights are not checked (None: anonymous); ``person`` by
            default.
        how: Further arguments of ``issue_xet_token``.
    """
    holder = person if to is _SAME else to

    async def issue() -> tuple[str, str]:
        opener = await authenticate_token(hub.db, person.token)
        actor = ANONYMOUS if holder is None else await authenticate_token(hub.db, holder.token)
        repo = await open_repo(hub.db, opener, RepoId.parse(Kind.MODEL, repo_id))
        epoch = await hub.hub.stores.xet.epochs.current()
        arguments: dict[str, Any] = {"seconds": 600, **how}
        return issue_xet_token(hub.hub.signer, actor, repo, write=write, epoch=epoch, **arguments)[
            0
        ], epoch

    return Cas(hub, *hub.run(issue()))


def a_model(seed: object, count: int = 6) -> tuple[SampleFile, SampleXorb]:
    """Return a file that consists of one whole xorb."""
    xorb = a_xorb(chunks(count, seed))
    return a_file((xorb, 0, count)), xorb
