"""Calling the Xet store of a live hub as clients do, with passes of any kind."""

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
from tests.support.xet_files import MadeFile, MadeXorb, a_file, a_shard, a_xorb


def noise(size: int, seed: object = 0) -> bytes:
    return random.Random(str(seed)).randbytes(size)


def chunks(count: int, seed: object, size: int = 9000) -> list[bytes]:
    """Return incompressible chunks; no two seeds share one."""
    return [noise(size + at, f"{seed}/{at}") for at in range(count)]


@dataclass(frozen=True)
class Cas:
    """The store, as one caller with one pass for one repository."""

    hub: ThreadHub
    pass_text: str
    epoch: str
    scope: str = "hub"

    @property
    def path(self) -> str:
        return f"/xet/{self.epoch}/{self.scope}"

    @property
    def stores(self) -> Storage:
        return self.hub.hub.stores

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Response:
        return self.hub.call(method, self.path + path, body, token=self.pass_text, **headers)

    def at(self, **changes: Any) -> Cas:
        return replace(self, **changes)

    # -- uploading -----------------------------------------------------------------------------

    def send(self, xorb: MadeXorb) -> Response:
        return self.call("POST", f"/v1/xorbs/default/{xorb.name}", xorb.body)

    def register(self, *files: MadeFile, xorbs: tuple[MadeXorb, ...] = ()) -> Response:
        return self.call("POST", "/v1/shards", a_shard(files, xorbs))

    def upload(self, *files: MadeFile, xorbs: tuple[MadeXorb, ...]) -> None:
        """Upload files whole, and expect success."""
        for xorb in xorbs:
            response = self.send(xorb)
            assert response.status == 200, response.body
        response = self.register(*files, xorbs=xorbs)
        assert response.status == 200, response.body

    # -- downloading ---------------------------------------------------------------------------

    def plan(self, file: MadeFile, version: int = 2, **headers: str) -> Response:
        return self.call("GET", f"/v{version}/reconstructions/{file.name}", **headers)

    def download(self, file: MadeFile, xorbs: tuple[MadeXorb, ...]) -> bytes:
        """Follow a plan, fetching every range, and return the file."""
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
        """Ask an address of a plan, as clients do: without any credentials."""
        parts = urlsplit(url)
        return self.hub.call(method, f"{parts.path}?{parts.query}", **headers)


_SAME: Any = object()


def pass_for(
    hub: ThreadHub, person: Person, repo_id: str, *, write: bool = True, to: Any = _SAME, **how: Any
) -> Cas:
    """Return the store with a pass for a repository that ``person`` can see.

    Args:
        to: To whom the pass is issued, without asking for their rights (None: nobody signed in);
            by default to ``person``.
        how: What else ``issue`` takes.
    """
    holder = person if to is _SAME else to

    async def made() -> tuple[str, str]:
        opener = await authenticate_token(hub.db, person.token)
        actor = ANONYMOUS if holder is None else await authenticate_token(hub.db, holder.token)
        repo = await open_repo(hub.db, opener, RepoId.parse(Kind.MODEL, repo_id))
        epoch = await hub.hub.stores.xet.epochs.current()
        told: dict[str, Any] = {"seconds": 600, **how}
        return issue_xet_token(hub.hub.seal, actor, repo, write=write, epoch=epoch, **told)[
            0
        ], epoch

    return Cas(hub, *hub.run(made()))


def a_model(seed: object, count: int = 6) -> tuple[MadeFile, MadeXorb]:
    """Return a file that is the whole of one xorb."""
    xorb = a_xorb(chunks(count, seed))
    return a_file((xorb, 0, count)), xorb
