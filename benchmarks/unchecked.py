"""The peer of the Xet measurements: a Xet store without any check.

``python -m benchmarks.unchecked PORT FOLDER``. It uses the hub's own HTTP server, and does the
least with which real clients can upload and download: it unpacks and hashes no chunk, checks no
term, sha256 or right, syncs nothing to disk, and has its index in memory.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import secrets
import sys
import time
from array import array
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.types import Receive, Scope, Send

from hubstead.http import FileResponse, receive_into
from hubstead.http.server import serve
from hubstead.xet import (
    KnownChunks,
    ReconstructionPlan,
    Terms,
    XorbEntry,
    XorbIndex,
    is_eligible,
    make_plan,
    parse_shard,
    to_raw,
    to_text,
    write_dedup_shard,
)

_LIMIT = 256 << 20
_CAS = "/cas"


@dataclass(frozen=True)
class _File:
    """A file to send."""

    size: int
    path: Path

    def chunks(self, start: int, count: int) -> Any:
        """Never called, since there is a path."""
        raise NotImplementedError


class Unchecked:
    """The store as an ASGI application."""

    def __init__(self, port: int, folder: Path) -> None:
        self._base = f"http://127.0.0.1:{port}{_CAS}"
        self._folder = folder
        self._files: dict[bytes, Terms] = {}
        self._chunks: dict[bytes, tuple[XorbEntry, int]] = {}  # those that clients may query
        self._indexes: dict[bytes, XorbIndex] = {}
        self._routes: dict[tuple[str, str], Callable[..., Awaitable[None]]] = {
            ("POST", "xorbs"): self._take_xorb,
            ("POST", "xorb-grants"): self._grant,
            ("POST", "shards"): self._take_shard,
            ("POST", "telemetry"): self._telemetry,
            ("GET", "chunks"): self._send_dedup_shard,
            ("GET", "reconstructions"): self._plan,
            ("GET", "bytes"): self._send_bytes,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        path: str = scope["path"]
        parts = path.removeprefix(_CAS).strip("/").split("/")
        what = parts[1] if len(parts) > 1 else ""
        handler = self._routes.get((scope["method"], what), _nothing)
        await handler(parts[-1], scope, receive, send)

    # -- uploads -------------------------------------------------------------------------------

    async def _take_xorb(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        path = self._folder / name
        with path.open("wb", buffering=0) as file:
            await receive_into(scope, receive, file.write, limit=_LIMIT)
        await _json(send, {"was_inserted": True})

    async def _grant(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        # It reports every xorb as missing, so that clients send whole xorbs.
        await _nothing(name, scope, receive, send)

    async def _take_shard(self, _name: str, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()
        await receive_into(scope, receive, body.extend, limit=_LIMIT)
        await asyncio.to_thread(self._register, body)
        await _json(send, {"type": "result", "result": 1}, end=b"\n")

    def _register(self, body: bytearray) -> None:
        shard = parse_shard(body)
        xorbs = {entry.hash: entry for entry in shard.xorbs}
        for xorb in xorbs.values():
            hashes = xorb.hashes()
            for at in range(len(xorb)):
                chunk = hashes[32 * at : 32 * at + 32]
                if is_eligible(chunk):
                    self._chunks[chunk] = (xorb, at)
        for file in shard.files:
            self._files[file.hash] = file.terms
            first = file.terms[0] if len(file.terms) else None
            if first is not None and first.xorb in xorbs:
                xorb = xorbs[first.xorb]
                chunk = xorb.hashes()[32 * first.start : 32 * first.start + 32]
                self._chunks[chunk] = (xorb, first.start)

    async def _send_dedup_shard(
        self, name: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        chunk = self._chunks.get(to_raw(name))
        if chunk is None:
            await _nothing(name, scope, receive, send)
            return
        shard = await asyncio.to_thread(_dedup_shard, *chunk)
        await _answer(send, shard, b"application/octet-stream")

    async def _telemetry(self, _name: str, _scope: Scope, _receive: Receive, send: Send) -> None:
        await _json(send, {})

    # -- downloads -----------------------------------------------------------------------------

    async def _plan(self, name: str, scope: Scope, _receive: Receive, send: Send) -> None:
        terms = self._files[to_raw(name)]
        start, end = _range(scope, terms.size)
        if start >= terms.size:
            await _answer(send, b"", b"text/plain", status=416)
            return
        needed = terms.xorbs(terms.between(start, end))
        plan = make_plan(terms, {xorb: self._index(xorb) for xorb in needed}, start, end)
        await _json(send, self._shown(plan))

    def _index(self, xorb: bytes) -> XorbIndex:
        index = self._indexes.get(xorb)
        if index is None:
            index = self._indexes[xorb] = _read_index(self._folder / to_text(xorb))
        return index

    def _shown(self, plan: ReconstructionPlan) -> dict[str, Any]:
        return {
            "offset_into_first_range": plan.offset,
            "terms": [
                {
                    "hash": to_text(term.xorb),
                    "unpacked_length": term.bytes,
                    "range": {"start": term.start, "end": term.end},
                }
                for term in plan.terms
            ],
            "xorbs": {
                to_text(xorb): [
                    {
                        "url": f"{self._base}/v1/bytes/{to_text(xorb)}",
                        "ranges": [
                            {
                                "chunks": {"start": one.start, "end": one.end},
                                "bytes": {"start": one.first_byte, "end": one.last_byte},
                            }
                        ],
                    }
                    for one in ranges
                ]
                for xorb, ranges in plan.ranges.items()
            },
        }

    async def _send_bytes(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        path = self._folder / name
        await FileResponse(_File(os.stat(path).st_size, path))(scope, receive, send)


def _read_index(path: Path) -> XorbIndex:
    """Read the headers of all records."""
    ends, offsets = array("I", (0,)), array("I", (0,))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
        at, size = 0, len(view)
        while at < size:
            at_data = at + 8
            at = at_data + int.from_bytes(view[at + 1 : at + 4], "little")
            offsets.append(offsets[-1] + int.from_bytes(view[at_data - 3 : at_data], "little"))
            ends.append(at)
    return XorbIndex(b"", ends, offsets)


def _dedup_shard(xorb: XorbEntry, position: int) -> bytes:
    offsets = array("I", (0,))
    for length in xorb.lengths():
        offsets.append(offsets[-1] + length)
    index = XorbIndex(xorb.hashes(), offsets, offsets)
    known = KnownChunks(xorb.hash, index, [(0, len(xorb))], first=(position,))
    now = int(time.time())
    return write_dedup_shard([known], key=secrets.token_bytes(32), now=now, expiry=now + 900)


def _range(scope: Scope, size: int) -> tuple[int, int]:
    for name, value in scope["headers"]:
        if name == b"range":
            first, _, last = value.removeprefix(b"bytes=").partition(b"-")
            return int(first), min(size, int(last) + 1 if last else size)
    return 0, size


async def _nothing(_name: str, _scope: Scope, _receive: Receive, send: Send) -> None:
    await _answer(send, b"", b"text/plain", status=404)


async def _json(send: Send, what: Any, end: bytes = b"") -> None:
    await _answer(send, json.dumps(what).encode() + end, b"application/json")


async def _answer(send: Send, body: bytes, media_type: bytes, status: int = 200) -> None:
    headers = [(b"content-type", media_type), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Serve until terminated."""
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    serve(Unchecked(port, folder), "127.0.0.1", port, lifespan="off")


if __name__ == "__main__":
    main()
