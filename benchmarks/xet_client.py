"""The real client of Xet, each run in its own process with an empty cache."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

_PROGRAM = """
import json, sys, time, hf_xet
request = json.load(sys.stdin)
token = (request["token"], 2_000_000_000)
started = time.perf_counter()
if "paths" in request:
    infos = hf_xet.upload_files(request["paths"], request["url"], token, None, None, "model")
    result = [[info.hash, info.file_size] for info in infos]
else:
    wanted = [hf_xet.PyXetDownloadInfo(*file) for file in request["files"]]
    result = hf_xet.download_files(wanted, request["url"], token, None, None)
print(json.dumps([time.perf_counter() - started, result]))
"""


@dataclass(frozen=True)
class Cas:
    """A Xet store: its address and token."""

    url: str
    token: str

    def over(self, port: int) -> Cas:
        """Return the same store at another port."""
        address = urlsplit(self.url)._replace(netloc=f"127.0.0.1:{port}")
        return Cas(urlunsplit(address), self.token)


Sent = list[tuple[str, int]]  # hash strings and sizes of files


def upload(cas: Cas, paths: Sequence[Path]) -> tuple[float, Sent]:
    """Upload files; return the seconds, and the hashes and sizes of the files."""
    seconds, sent = _run(cas, paths=[str(path) for path in paths])
    return seconds, [(name, size) for name, size in sent]


def download(cas: Cas, files: Sent, paths: Sequence[Path]) -> float:
    """Download files to ``paths``; return the seconds."""
    downloads = [(str(path), name, size) for path, (name, size) in zip(paths, files, strict=True)]
    seconds, _ = _run(cas, files=downloads)
    return seconds


def _run(cas: Cas, **request: Any) -> tuple[float, Any]:
    with tempfile.TemporaryDirectory(prefix="hubstead-bench-cache-", dir="/dev/shm") as cache:
        env = {"PATH": "/usr/bin:/bin", "HOME": cache, "HF_XET_CACHE": cache}
    result = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input=json.dumps({"url": cas.url, "token": cas.token, **request}),
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SystemExit(f"the client failed: {result.stderr[-2000:]}")
    seconds, output = json.loads(result.stdout.splitlines()[-1])
    return seconds, output


class Relay:
    """Forwards connections to a port of this machine, and counts what clients send."""

    def __init__(self, port: int) -> None:
        self.sent = 0
        self._to = port
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._to))
            for pair in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        buffer = memoryview(bytearray(1 << 18))
        try:
            while count := source.recv_into(buffer):
                if counted:
                    with self._lock:
                        self.sent += count
                target.sendall(buffer[:count])
            target.shutdown(socket.SHUT_WR)
        except OSError:
            source.close()
            target.close()


@contextmanager
def counted(cas: Cas) -> Iterator[tuple[Cas, Relay]]:
    """Yield the store at an address where all sent bytes are counted."""
    with closing(Relay(urlsplit(cas.url).port or 80)) as relay:
        yield cas.over(relay.port), relay
