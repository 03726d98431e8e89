"""Every kind of write is on the disk, in the right order, before its response."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.durability import trace
from tests.durability.order import Order
from tests.durability.trace import SYNCS, WRITES, Window
from tests.support.http import Connection, Response
from tests.support.hub import ProcessHub

LFS = {"Content-Type": "application/vnd.git-lfs+json"}
#: Background work that a request causes ends before the next request.
REST_S = 0.1
NDJSON = {"Content-Type": "application/x-ndjson"}
ENV = {
    "HUBSTEAD_LFS_PART_BYTES": "4000",
    "HUBSTEAD_LFS_MULTIPART_THRESHOLD_BYTES": "9000",
    "HUBSTEAD_MAX_LFS_FILE_BYTES": "10MB",
    "HUBSTEAD_LOG_LEVEL": "warning",
}


def _strace_works() -> bool:
    if shutil.which("strace") is None:
        return False
    tried = subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], check=False)
    return tried.returncode == 0


pytestmark = pytest.mark.skipif(
    not _strace_works(), reason="strace is not installed, or may not trace here"
)


@dataclass
class Recording:
    """A hub whose system calls were recorded while it did one write of each kind."""

    folder: Path
    responses: list[tuple[str, Response]] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / "hub"

    @property
    def file(self) -> Path:
        return self.folder / "server.trace"

    def record(self) -> None:
        node = ProcessHub(self.data, ENV, under=trace.command(self.file)).start()
        try:
            self._caller = Connection(node.port, node.token)
            self._write_everything()
            self.token = self._create_token(node)
        finally:
            node.kill()
        self.calls = trace.read(self.file)
        self.windows = trace.windows(self.calls)
        assert len(self.windows) == len(self.responses)

    def _create_token(self, node: ProcessHub) -> list[trace.Call]:
        output = self.folder / "token.trace"
        result = subprocess.run(
            [*trace.command(output), *node.command("token", "create", "admin")],
            env=node.environment(),
            capture_output=True,
            check=True,
            timeout=60,
        )
        assert result.stdout.startswith(b"hf_")
        return trace.read(output)

    def ask(self, kind: str, method: str, url: str, body: Any = None, **how: Any) -> Response:
        time.sleep(REST_S)
        response = self._caller(method, url, body, **how)
        assert response.status == 200, (kind, response.status, response.body)
        self.responses.append((kind, response))
        return response

    def _write_everything(self) -> None:
        repo = "/api/models/admin/m"
        self.ask("create repo", "POST", "/api/repos/create", {"name": "m"})
        self.ask("commit", "POST", f"{repo}/commit/main", _commit("a.bin", b"x"), headers=NDJSON)
        large = _commit("large.bin", bytes(range(256)) * 16_000)
        self.ask("large commit", "POST", f"{repo}/commit/main", large, headers=NDJSON)
        self._upload(b"y" * 3000)
        self._upload_in_parts(b"z" * 10_000)
        self.ask("branch", "POST", f"{repo}/branch/b", {})
        self.ask("empty branch", "POST", f"{repo}/branch/e", {"emptyBranch": True})
        self.ask("delete branch", "DELETE", f"{repo}/branch/b")
        self.ask("tag", "POST", f"{repo}/tag/main", {"tag": "v1"})
        self.ask("annotated tag", "POST", f"{repo}/tag/main", {"tag": "v2", "message": "two"})
        self.ask("squash", "POST", f"{repo}/super-squash/main", {})
        self.ask("duplicate", "POST", f"{repo}/duplicate", {"repository": "admin/copy"})
        self.ask("settings", "PUT", f"{repo}/settings", {"private": True})
        move = {"fromRepo": "admin/m", "toRepo": "admin/n"}
        self.ask("rename", "POST", "/api/repos/move", move)
        self.ask("delete repo", "DELETE", "/api/repos/delete", {"name": "n"})

    def _batch(self, kind: str, data: bytes) -> dict[str, Any]:
        body = {
            "operation": "upload",
            "transfers": ["basic", "multipart"],
            "objects": [{"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}],
        }
        url = "/admin/m.git/info/lfs/objects/batch"
        response = self.ask(kind, "POST", url, body, headers=LFS)
        action: dict[str, Any] = response.json["objects"][0]["actions"]["upload"]
        return action

    def _upload(self, data: bytes) -> None:
        self.ask("upload", "PUT", self._batch("batch", data)["href"], data, signed=False)

    def _upload_in_parts(self, data: bytes) -> None:
        action = self._batch("begin upload in parts", data)
        chunk, parts = int(action["header"]["chunk_size"]), []
        for key, url in sorted(action["header"].items()):
            if key.isdigit():
                piece = data[(int(key) - 1) * chunk : int(key) * chunk]
                etag = self.ask("part", "PUT", url, piece, signed=False).headers["etag"]
                parts.append({"partNumber": int(key), "etag": etag})
        body = {"oid": hashlib.sha256(data).hexdigest(), "parts": parts}
        self.ask("upload in parts", "POST", action["href"], body, headers=LFS, signed=False)

    def order_of(self, kind: str) -> Order:
        kinds = [name for name, _ in self.responses]
        return Order(self.windows[kinds.index(kind)], self.data)


def _commit(path: str, data: bytes) -> str:
    content = base64.b64encode(data).decode()
    lines = [
        {"key": "header", "value": {"summary": "add"}},
        {"key": "file", "value": {"path": path, "content": content, "encoding": "base64"}},
    ]
    return "\n".join(json.dumps(line) for line in lines)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    recorder = Recording(tmp_path_factory.mktemp("trace"))
    recorder.record()
    return recorder


#: The names that each kind of write gives before its transaction.
NAMES = {
    "create repo": {".git", ".pack", ".idx"},
    "commit": {".pack", ".idx"},
    "large commit": {".pack", ".idx"},
    "upload": {"blobs/lfs"},
    "begin upload in parts": set(),
    "upload in parts": {"blobs/lfs"},
    "branch": set(),
    "empty branch": {".pack", ".idx"},
    "delete branch": set(),
    "tag": set(),
    "annotated tag": {".pack", ".idx"},
    "squash": {".pack", ".idx"},
    "duplicate": {".git", ".pack", ".idx"},
    "settings": set(),
    "rename": set(),
    "delete repo": set(),
}


@pytest.mark.parametrize("kind", NAMES)
def test_bytes_then_names_then_the_transaction_are_on_the_disk_before_the_response(
    recording: Recording, kind: str
) -> None:
    renames = recording.order_of(kind).check()
    kinds = {
        "blobs/lfs" if name.startswith("blobs/lfs/") else Path(name).suffix for name in renames
    }
    assert kinds == NAMES[kind]


def test_a_part_is_on_the_disk_under_its_name_before_its_response(recording: Recording) -> None:
    window = recording.order_of("part").window
    whole = window.find(*WRITES, where=lambda call: "/uploads/" in call.path)
    assert whole, "the part was not written"
    marks = window.find(
        "openat", where=lambda call: "O_CREAT" in call.flags and "/uploads/" in call.path
    )
    mark = marks[-1]
    assert mark.path != whole[-1].path, "no mark says that the part is whole"
    assert window.synced(whole[-1].path, whole[-1], mark)
    assert window.synced(mark.folder, mark, window.response)


def test_the_first_token_is_on_the_disk_before_its_account(recording: Recording) -> None:
    calls = recording.calls
    token, folder = f"{recording.data}/first-token.new", str(recording.data)
    start = Window(calls, recording.windows[0].response)
    (written,) = start.find(*WRITES, where=lambda call: call.path == token)
    wal = f"{folder}/hubstead.db-wal"
    later = start.find(*WRITES, where=lambda call: call.path == wal and call.begin > written.begin)
    assert start.synced(token, written, later[0])
    assert start.synced(folder, written, later[0])


def test_a_new_data_folder_has_a_durable_database(recording: Recording) -> None:
    folder = str(recording.data)
    start = Window(recording.calls, recording.windows[0].response)
    for name in ("hubstead.db", "hubstead.db-wal"):
        created = [call for call in start.find("openat") if call.path == f"{folder}/{name}"]
        assert "O_CREAT" in created[0].flags
        assert start.synced(folder, created[0], start.response), name
    (itself,) = start.find("mkdir", "mkdirat", where=lambda call: call.path == folder)
    assert start.synced(str(recording.folder), itself, start.response)
    (git,) = start.find("mkdir", "mkdirat", where=lambda call: call.path == f"{folder}/git")
    assert start.synced(folder, git, start.response)


def test_a_token_of_the_command_line_is_on_the_disk_before_it_is_printed(
    recording: Recording,
) -> None:
    wal = f"{recording.data}/hubstead.db-wal"
    (printed,) = [
        call for call in recording.token if call.name == "write" and call.text.startswith("hf_")
    ]
    writes = [call for call in recording.token if call.path == wal and call.name in WRITES]
    assert writes
    assert any(
        sync.name in SYNCS
        and sync.path == wal
        and sync.begin > writes[-1].end
        and sync.end < printed.begin
        for sync in recording.token
    )
