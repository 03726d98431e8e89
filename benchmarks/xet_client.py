"""The real client of Xet, each run in a process of its own with an empty cache."""

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
told = json.load(sys.stdin)
token = (told["token"], 2_000_000_000)
started = time.perf_counter()
if "paths" in told:
    done = hf_xet.upload_files(told["paths"], told["url"], token, None, None, "model")
    found = [[each.hash, each.file_size] for each in done]
else:
    wanted = [hf_xet.PyXetDownloadInfo(*each) for each in told["files"]]
    found = hf_xet.download_files(wanted, told["url"], token, None, None)
print(json.dumps([time.perf_counter() - started, found]))
"""


@dataclass(frozen=True)
class Cas:
    """A Xet store, and what opens it."""

    url: str
    token: str

    def over(self, port: int) -> Cas:
        """The same store at another port."""
        address = urlsplit(self.url)._replace(netloc=f"127.0.0.1:{port}")
        return Cas(urlunsplit(address), self.token)


Sent = list[tuple[str, int]]  # hash strings and sizes of files


def upload(cas: Cas, paths: Sequence[Path]) -> tuple[float, Sent]:
    """Upload files; return the seconds that took, and what they are called."""
    seconds, sent = _run(cas, paths=[str(path) for path in paths])
    return seconds, [(name, size) for name, size in sent]


def download(cas: Cas, files: Sent, paths: Sequence[Path]) -> float:
    """Download files to ``paths``; return the seconds that took."""
    told = [(str(path), name, size) for path, (name, size) in zip(paths, files, strict=True)]
    seconds, _ = _run(cas, files=told)
    return seconds


def _run(cas: Cas, **told: Any) -> tuple[float, Any]:
    with tempfile.TemporaryDirectory(prefix="hubstead-bench-cache-", dir="/dev/shm") as cache:
        env = {"PATH": "/usr/bin:/bin", "HOME": cache, "HF_XET_CACHE": cache}
        result = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            input=json.dumps({"url": cas.url, "token": cas.token, **told}),
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode:
        raise SystemExit(f"the client failed: {result.stderr[-2000:]}")
    seconds, found = json.loads(result.stdout.splitlines()[-1])
    return seconds, found


class Relay:
    """Passes connections on to a port of this machine, and counts what clients send."""

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
            while got := source.recv_into(buffer):
                if counted:
                    with self._lock:
                        self.sent += got
                target.sendall(buffer[:got])
            target.shutdown(socket.SHUT_WR)
        except OSError:
            source.close()
            target.close()


@contextmanager
def counted(cas: Cas) -> Iterator[tuple[Cas, Relay]]:
    """Give the store at an address where all that is sent to it is counted."""
    with closing(Relay(urlsplit(cas.url).port or 80)) as relay:
        yield cas.over(relay.port), relay
