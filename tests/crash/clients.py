"""Clients that write without pause, each to its own repositories and to a shared one."""

from __future__ import annotations

import base64
import json
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.crash.oracle import LFS, SHARED, RepoState, State, Tip, digest
from tests.support.http import Connection, Response

LFS_PART_BYTES = 4_000
LFS_MULTIPART_ABOVE = 9_000
_NDJSON = {"Content-Type": "application/x-ndjson"}
_MOST_REPOS = 3
_MOST_FILES = 6


class Uncertain(Exception):
    """The hub did not report the outcome (its database was down)."""


class BeingDeleted(Exception):
    """An object of this name is in state deleting: upload it again later."""


class Refused(AssertionError):
    """The hub refused a valid request."""


@dataclass
class Client:
    """One client: ``state`` is acknowledged, ``pending`` is the target of the last request.

    ``pending`` is None unless a request had no response; then the hub shows one of the two.
    """

    name: str
    seed: int
    tolerant: bool = False  # the database may be down
    state: State = field(default_factory=State)
    pending: State | None = None
    acknowledged: dict[str, int] = field(default_factory=dict)
    fault: BaseException | None = None

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._thread: threading.Thread | None = None
        self._number = 0
        self._doing = ""

    # -- control ------------------------------------------------------------------------------

    def start(self, port: int, token: str) -> None:
        self._caller = Connection(port, token)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the client's end, which follows the end of the server.

        Raises:
            AssertionError: the hub refused a request.
        """
        assert self._thread is not None
        self._thread.join(30)
        assert not self._thread.is_alive(), "a client hangs"
        if self.fault is not None:
            raise self.fault

    def _run(self) -> None:
        try:
            while True:
                try:
                    self.step()
                except BeingDeleted:
                    self.pending = None
        except (OSError, Uncertain):
            pass  # the server is deleted
        except BaseException as error:
            self.fault = error
        finally:
            self._caller.close()

    def step(self) -> None:
        """Do one random operation."""
        few = len(self.state.repos) < _MOST_REPOS
        actions: list[tuple[int, Callable[[], None]]] = [
            (8, self._commit),
            (5, self._upload),
            (4, self._commit_uploaded),
            (4, self._commit_shared),
            (3, self._branch),
            (2, self._drop_branch),
            (3, self._tag),
            (2, self._drop_tag),
            (2, self._move),
            (2, self._hide_or_show),
            (2, self._squash),
            (1, self._delete),
            (3 if few else 0, self._create),
            (1 if few else 0, self._duplicate),
        ]
        if not self.state.repos:
            actions = [(1, self._create)]
        weights = [weight for weight, _ in actions]
        self.random.choices([action for _, action in actions], weights)[0]()

    # -- requests -----------------------------------------------------------------------------

    def _send(self, method: str, url: str, body: Any = None, **how: Any) -> Response:
        response = self._caller(method, url, body, **how)
        if response.status == 503 and b"just being removed" in response.body:
            raise BeingDeleted
        if response.status == 503 and self.tolerant:
            raise Uncertain(response.body.decode())
        if response.status >= 300:
            raise Refused(f"{self.name}: {method} {url}: {response.status} {response.body[:300]!r}")
        return response

    def _change(self, kind: str, after: State, method: str, url: str, body: Any, **how: Any) -> Any:
        """Send the request that leads to ``after``; a response confirms that state."""
        self.pending = after
        response = self._send(method, url, body, **how)
        self.state, self.pending = after, None
        self.acknowledged[kind] = self.acknowledged.get(kind, 0) + 1
        return response

    def _new_name(self) -> str:
        self._number += 1
        return f"admin/{self.name}-{self.seed % 100_000}-{self._number}"

    def _bytes(self, least: int = 1, most: int = 3_000) -> bytes:
        return self.random.randbytes(self.random.randint(least, most))

    def _some_repo(self) -> tuple[str, State, RepoState]:
        name = self.random.choice(sorted(self.state.repos))
        after = self.state.copy()
        return name, after, after.repos[name]

    # -- repositories -------------------------------------------------------------------------

    def _create(self) -> None:
        name, after = self._new_name(), self.state.copy()
        private = self.random.random() < 0.3
        after.repos[name] = RepoState(private, {"main": Tip(None)})
        body = {"name": name.partition("/")[2], "private": private}
        self._change("create", after, "POST", "/api/repos/create", body)

    def _delete(self) -> None:
        name, after, _ = self._some_repo()
        del after.repos[name]
        after.aliases = {old: to for old, to in after.aliases.items() if to != name}
        after.deleted = [*after.deleted[-3:], name]
        body = {"name": name.partition("/")[2]}
        self._change("delete", after, "DELETE", "/api/repos/delete", body)

    def _move(self) -> None:
        name, after, repo = self._some_repo()
        to = self._new_name()
        del after.repos[name]
        after.repos[to] = repo
        after.aliases = {old: to if now == name else now for old, now in after.aliases.items()}
        after.aliases[name] = to
        body = {"fromRepo": name, "toRepo": to}
        self._change("rename", after, "POST", "/api/repos/move", body)

    def _hide_or_show(self) -> None:
        name, after, repo = self._some_repo()
        repo.private = not repo.private
        body = {"private": repo.private}
        self._change("settings", after, "PUT", f"/api/models/{name}/settings", body)

    def _duplicate(self) -> None:
        name, after, repo = self._some_repo()
        to = self._new_name()
        after.repos[to] = RepoState(
            False,
            {ref: Tip(tip.commit, dict(tip.files)) for ref, tip in repo.branches.items()},
            {ref: Tip(tip.commit, dict(tip.files)) for ref, tip in repo.tags.items()},
        )
        body = {"repository": to, "private": False}
        self._change("duplicate", after, "POST", f"/api/models/{name}/duplicate", body)

    # -- content ------------------------------------------------------------------------------

    def _commit(self) -> None:
        name, after, repo = self._some_repo()
        branch = self.random.choice(sorted(repo.branches))
        tip = repo.branches[branch]
        lines: list[dict[str, Any]] = []
        for path in self.random.sample([f"d{n % 3}/f{n}.bin" for n in range(_MOST_FILES)], 3):
            if path in tip.files and self.random.random() < 0.3:
                del tip.files[path]
                lines.append({"key": "deletedFile", "value": {"path": path}})
            else:
                data = self._bytes()
                tip.files[path] = digest(data)
                lines.append(_file(path, data))
        parent = tip.commit if self.random.random() < 0.5 else None
        self._commit_lines("commit", after, (name, branch), tip, lines, parent=parent)

    def _commit_uploaded(self) -> None:
        name, after, repo = self._some_repo()
        if not repo.uploaded:
            return
        branch = self.random.choice(sorted(repo.branches))
        tip, lines = repo.branches[branch], []
        for number, (oid, size) in enumerate(repo.uploaded.items()):
            path = f"lfs/{number % 4}.bin"
            tip.files[path] = oid
            value = {"path": path, "algo": "sha256", "oid": oid, "size": size}
            lines.append({"key": "lfsFile", "value": value})
        repo.uploaded = {}
        self._commit_lines("commit of uploads", after, (name, branch), tip, lines)

    def _commit_lines(
        self,
        kind: str,
        after: State,
        where: tuple[str, str],
        tip: Tip,
        lines: list[dict[str, Any]],
        *,
        parent: str | None = None,
    ) -> None:
        header: dict[str, Any] = {"summary": f"{kind} of {self.name}"}
        if parent:
            header["parentCommit"] = parent
        tip.commit = None
        text = "\n".join(json.dumps(line) for line in [{"key": "header", "value": header}, *lines])
        url = "/api/models/{}/commit/{}".format(*where)
        result = self._change(kind, after, "POST", url, text, headers=_NDJSON)
        tip.commit = result.json["commitOid"]

    def _commit_shared(self) -> None:
        after = self.state.copy()
        data, path = self._bytes(), f"{self.name}/{self.random.randrange(4)}.bin"
        after.shared[path] = digest(data)
        after.shared_commits += 1
        tip, lines = Tip(None), [_file(path, data)]
        self._commit_lines("commit to a shared branch", after, (SHARED, "main"), tip, lines)

    def _upload(self) -> None:
        name, after, repo = self._some_repo()
        data = self._bytes(1_000, 2 * LFS_MULTIPART_ABOVE)
        if self.random.random() < 0.5:  # content that other clients upload and delete, too
            data = random.Random(self.random.randrange(6)).randbytes(7_000)
        oid, size = digest(data), len(data)
        body = {
            "operation": "upload",
            "transfers": ["basic", "multipart"],
            "hash_algo": "sha256",
            "objects": [{"oid": oid, "size": size}],
        }
        response = self._send("POST", f"/{name}.git/info/lfs/objects/batch", body, headers=LFS)
        repo.uploaded[oid] = size
        actions = response.json["objects"][0].get("actions")
        if not actions:  # it is stored already
            self.state = after
            return
        action = actions["upload"]
        if response.json["transfer"] == "multipart":
            self._in_parts(after, action, oid, data)
        else:
            url = action["href"]
            self._change("upload", after, "PUT", url, data, signed=False)

    def _in_parts(self, after: State, action: dict[str, Any], oid: str, data: bytes) -> None:
        chunk, parts = int(action["header"]["chunk_size"]), []
        for key, url in sorted(action["header"].items()):
            if key.isdigit():
                piece = data[(int(key) - 1) * chunk : int(key) * chunk]
                etag = self._send("PUT", url, piece, signed=False).headers["etag"]
                parts.append({"partNumber": int(key), "etag": etag})
        body = {"oid": oid, "parts": parts}
        kind, url = "upload in parts", action["href"]
        self._change(kind, after, "POST", url, body, headers=LFS, signed=False)

    # -- refs ---------------------------------------------------------------------------------

    def _branch(self) -> None:
        name, after, repo = self._some_repo()
        start = self.random.choice(sorted(repo.branches))
        new = f"b{self.random.randrange(3)}"
        tip = repo.branches[start]
        repo.branches[new] = Tip(tip.commit, dict(tip.files))
        body = {"startingPoint": tip.commit or start, "overwrite": True}
        self._change("branch", after, "POST", f"/api/models/{name}/branch/{new}", body)

    def _drop_branch(self) -> None:
        name, after, repo = self._some_repo()
        others = sorted(repo.branches.keys() - {"main"})
        if others:
            branch = self.random.choice(others)
            del repo.branches[branch]
            url = f"/api/models/{name}/branch/{branch}"
            self._change("delete branch", after, "DELETE", url, None)

    def _tag(self) -> None:
        name, after, repo = self._some_repo()
        free = sorted({"v1", "v2", "v3"} - repo.tags.keys())
        if free:
            tag, branch = self.random.choice(free), self.random.choice(sorted(repo.branches))
            tip = repo.branches[branch]
            repo.tags[tag] = Tip(tip.commit, dict(tip.files))
            message = "annotated" if self.random.random() < 0.5 else None
            body = {"tag": tag, "message": message}
            self._change("tag", after, "POST", f"/api/models/{name}/tag/{branch}", body)

    def _drop_tag(self) -> None:
        name, after, repo = self._some_repo()
        if repo.tags:
            tag = self.random.choice(sorted(repo.tags))
            del repo.tags[tag]
            self._change("delete tag", after, "DELETE", f"/api/models/{name}/tag/{tag}", None)

    def _squash(self) -> None:
        name, after, repo = self._some_repo()
        branch = self.random.choice(sorted(repo.branches))
        tip = repo.branches[branch]
        tip.commit = None
        url = f"/api/models/{name}/super-squash/{branch}"
        result = self._change("squash", after, "POST", url, {"message": "squashed"})
        tip.commit = result.json["commitId"]


def _file(path: str, data: bytes) -> dict[str, Any]:
    content = base64.b64encode(data).decode()
    return {"key": "file", "value": {"path": path, "content": content, "encoding": "base64"}}
