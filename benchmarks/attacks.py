"""The attacks of the siege. Each runs until it is killed and counts the answers that it gets."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.hub import make_repo
from benchmarks.raw_client import api

MALLORY = "mallory"
COMMITS = 8_000
IDLE_CONNECTIONS = 4_500
ADDRESSES = ("127.0.0.2", "127.0.0.3")
#: Seconds after which an attacker gives up a request, as a real one would not.
PATIENCE_S = 120.0

World = dict[str, str]
_seen: Counter[str] = Counter()


def prepare(folder: Path, port: int, token: str) -> World:
    """Push a long history and make the bombs; return what attackers need to know."""
    call = api(port, token)
    for name in ("deep", "bomb"):
        make_repo(call, f"{MALLORY}/{name}")
    push_url = f"http://{MALLORY}:{token}@127.0.0.1:{port}/{MALLORY}"
    deep, bomb = folder / "deep", folder / "bomb"
    _import(deep, _history())
    _git(deep, "push", "-q", "--force", f"{push_url}/deep", "main")
    _import(bomb, _zeros())
    return {
        "token": token,
        "bomb": str(bomb),
        "bomb_url": f"{push_url}/bomb",
        "outcome": str(folder / "outcome"),
    }


def _git(repo: Path, *arguments: str, stdin: bytes | None = None) -> None:
    command = ["git", "-C", str(repo), *arguments]
    subprocess.run(command, input=stdin, check=True, capture_output=True)


def _import(repo: Path, stream: bytes) -> None:
    subprocess.run(["git", "init", "-q", "-b", "main", str(repo)], check=True)
    _git(repo, "fast-import", "--quiet", stdin=stream)


def _commit(number: int, path: str, content: bytes) -> bytes:
    head = f"commit refs/heads/main\ncommitter m <m@example.com> {1_700_000_000 + number} +0000\n"
    return b"%bdata 1\nx\nM 100644 inline %b\ndata %d\n%b\n" % (
        head.encode(),
        path.encode(),
        len(content),
        content,
    )


def _history() -> bytes:
    """Return a history whose first files are never changed again, while others are."""
    first = [_commit(n, f"old-{n:04}.txt", b"old") for n in range(1000)]
    later = [_commit(n, f"new-{n % 50}.txt", b"%d" % n) for n in range(1000, COMMITS)]
    return b"".join([*first, *later])


def _zeros() -> bytes:
    """Return a commit of files that deflate a thousandfold."""
    return b"".join(_commit(n, f"{n}.bin", bytes(60_000_000) + b"%d" % n) for n in range(6))


async def _request(
    port: int, method: str, path: str, body: bytes = b"", source: str = ADDRESSES[0], **headers: str
) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        lines = [f"{method} {path} HTTP/1.1", "Host: hub", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines.append(f"Content-Length: {len(body)}")
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()
        status = (await reader.readline()).decode().split(" ")[1]
        while await reader.read(1 << 16):
            pass
        return status
    finally:
        writer.close()


async def _repeat(count: int, request: Callable[[int], Awaitable[str]], world: World) -> None:
    """Have ``count`` requests under way, and write down the answers."""

    async def attacker(number: int) -> None:
        while True:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    _seen[await request(number)] += 1
            except (OSError, IndexError, TimeoutError) as error:
                _seen[type(error).__name__] += 1
            text = ", ".join(f"{count} × {status}" for status, count in sorted(_seen.items()))
            Path(world["outcome"]).write_text(text)

    await asyncio.gather(*(attacker(number) for number in range(count)))


async def expanded(port: int, world: World) -> None:
    """Ten anonymous clients expand a folder whose files were changed 8,000 commits ago."""
    path = f"/api/models/{MALLORY}/deep/tree/main?expand=1&limit=1000"
    await _repeat(10, lambda _: _request(port, "GET", path), world)


async def preupload(port: int, world: World) -> None:
    """Ask for the modes of 1,000 files by 3,000 lines of attributes."""
    files = [{"path": f"f-{n}.bin", "size": 100, "sample": ""} for n in range(1000)]
    lines = "".join(f"*a*{n}* filter=lfs\n" for n in range(3000))
    body = json.dumps({"files": files, "gitAttributes": lines}).encode()
    some = json.dumps({"files": files[:300], "gitAttributes": lines}).encode()
    headers = {"authorization": f"Bearer {world['token']}", "content_type": "application/json"}
    path = f"/api/models/{MALLORY}/deep/preupload/main"

    def ask(number: int) -> Awaitable[str]:
        return _request(port, "POST", path, body if number % 2 else some, **headers)

    await _repeat(4, ask, world)


async def passwords(port: int, world: World) -> None:
    """Send 200 wrong passwords at once, over and over."""

    def ask(number: int) -> Awaitable[str]:
        guess = base64.b64encode(f"user{number % 20}:guess".encode()).decode()
        return _request(port, "GET", "/api/whoami-v2", authorization=f"Basic {guess}")

    await _repeat(200, ask, world)


async def inflation(port: int, world: World) -> None:
    """Send 24 bodies of a few KB that inflate to 9 MB of JSON."""
    body = gzip.compress(json.dumps({"paths": ["a" * 9_000_000]}).encode(), 9)
    many = gzip.compress(json.dumps({"paths": [f"p{n}" for n in range(900_000)]}).encode(), 9)
    headers = {"content_encoding": "gzip", "content_type": "application/json"}
    path = f"/api/models/{MALLORY}/deep/paths-info/main"

    def ask(number: int) -> Awaitable[str]:
        return _request(port, "POST", path, many if number % 2 else body, **headers)

    await _repeat(24, ask, world)


async def idle(port: int, world: World) -> None:
    """Hold 4,500 connections without a request, from two addresses."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (IDLE_CONNECTIONS + 500,) * 2)
    held: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    while True:
        for number in range(IDLE_CONNECTIONS - len(held)):
            try:
                source = (ADDRESSES[number % len(ADDRESSES)], 0)
                held.append(await asyncio.open_connection("127.0.0.1", port, local_addr=source))
            except OSError as error:
                _seen[type(error).__name__] += 1
        closed = [pair for pair in held if pair[0].at_eof()]
        _seen["closed"] += len(closed)
        held = [pair for pair in held if not pair[0].at_eof()]
        for _, writer in closed:
            writer.close()
        Path(world["outcome"]).write_text(f"{len(held)} held, {_seen['closed']} closed")
        await asyncio.sleep(0.5)


async def push(port: int, world: World) -> None:
    """Push files that deflate a thousandfold, four at a time."""
    del port

    async def one(number: int) -> str:
        ref = f"main:refs/heads/b{number}"
        command = ["git", "-C", world["bomb"], "push", "-q", "--force", world["bomb_url"], ref]
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
        return f"status {await process.wait()}"

    await _repeat(4, one, world)


#: The attacks by name.
ATTACKS: dict[str, Callable[[int, World], Awaitable[None]]] = {
    "expanded": expanded,
    "preupload": preupload,
    "passwords": passwords,
    "inflation": inflation,
    "idle": idle,
    "push": push,
}


async def _run(name: str, port: int, world: World) -> None:
    await ATTACKS[name](port, world)


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])))
