"""Pushes of many refs at once, compared with git's own http-backend.

The requests are built here: the time of git's client grows by the square of the refs in one push
(over a minute for 10,000), which would hide the time of the servers.
"""

from __future__ import annotations

import subprocess
from base64 import b64encode
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path

from benchmarks import hub
from benchmarks.bench import Bench
from benchmarks.figures import Figure, Goal
from benchmarks.git import Pair, http_backend, imported, run_git, timed
from benchmarks.processes import Server
from benchmarks.raw_client import api

REFS = 10_000
_NONE = "0" * 40
_GOAL = Goal("ratio", 3, above=False)
#: A request, and the number of refs that it moves.
Push = tuple[bytes, int]


def measure(bench: Bench) -> list[Figure]:
    """Push tags of one commit, branches of a commit each, one branch beside them; delete tags."""
    source = _many_refs(bench.disk / "refs")
    pushes = _pushes(source)
    data = bench.disk / "hub"
    server = hub.start_hub(data)
    try:
        token = hub.admin_token(data)
        with http_backend(bench) as peer:
            pair = Pair(bench, server, peer, api(server.port, token), token)
            return _rounds(pair, source, pushes)
    finally:
        server.stop()


def _many_refs(folder: Path) -> Path:
    """Return a repository of 10,000 branches, each with a commit of its own."""
    parts = ["commit refs/heads/main\nmark :1\ncommitter B <b@example.org> 1 +0000\ndata 1\nx\n"]
    parts.append("M 644 inline a.txt\ndata 1\na\n")
    for n in range(REFS):
        parts.append(f"commit refs/heads/b/{n}\ncommitter B <b@example.org> 2 +0000\ndata 1\nx\n")
        text = f"{n}"
        parts.append(f"from :1\nM 644 inline b.txt\ndata {len(text)}\n{text}\n")
    imported(folder, "".join(parts))
    run_git(folder, "pack-refs", "--all")
    return folder


def _pushes(source: Path) -> dict[str, Push]:
    """Return the pushes by the names of their figures, in order."""
    lines = run_git(source, "for-each-ref", "--format=%(objectname) %(refname)").split("\n")
    tips = {ref: oid for oid, _, ref in (line.partition(" ") for line in lines) if ref}
    main = tips.pop("refs/heads/main")
    tags = [f"refs/tags/v/{n}" for n in range(REFS)]
    every = _pack(source, [f"^{main}", *tips.values()])
    return {
        f"push of {REFS:,} tags of one commit": (
            _request([(_NONE, main, tag) for tag in tags], _pack(source, [f"^{main}"])),
            REFS,
        ),
        f"push of {REFS:,} branches, a commit each": (
            _request([(_NONE, oid, ref) for ref, oid in tips.items()], every),
            REFS,
        ),
        f"push of one branch beside {2 * REFS:,} refs": (
            _request([(_NONE, main, "refs/heads/new")], _pack(source, [f"^{main}"])),
            1,
        ),
        f"deletion of {REFS:,} tags": (_request([(main, _NONE, tag) for tag in tags]), REFS),
    }


def _pack(source: Path, revisions: list[str]) -> bytes:
    result = subprocess.run(
        ["git", "pack-objects", "--revs", "--stdout", "--quiet"],
        cwd=source,
        input="\n".join([*revisions, ""]).encode(),
        capture_output=True,
        check=True,
    )
    return result.stdout


def _request(commands: list[tuple[str, str, str]], pack: bytes = b"") -> bytes:
    packets = []
    for number, (old, new, ref) in enumerate(commands):
        line = f"{old} {new} {ref}" + ("" if number else "\0report-status delete-refs")
        packets.append(f"{len(line) + 4:04x}{line}")
    return "".join(packets).encode() + b"0000" + pack


def _rounds(pair: Pair, source: Path, pushes: dict[str, Push]) -> list[Figure]:
    figures = [Figure(name, "s", _GOAL, "http-backend", cpu_unit="s") for name in pushes]
    clone = Figure(f"clone of {REFS + 2:,} refs", "s", _GOAL, "http-backend", cpu_unit="s")
    for number in range(pair.bench.rounds):
        addresses = pair.addresses(f"refs-{number}", checked=True)
        for server, address in zip((pair.peer, pair.hub), addresses, strict=True):
            run_git(source, "push", "-q", "-f", address, "main")
            target = f"/admin/refs-{number}{'' if server is pair.hub else '.git'}/git-receive-pack"
            for figure, (body, count) in zip(figures, pushes.values(), strict=True):
                _add(figure, pair, server, lambda: _push(server, pair, target, body, count))  # noqa: B023
            mirror = source.parent / f"mirror-{number}-{server.port}"
            words = ["clone", "-q", "--mirror", address, str(mirror)]
            _add(clone, pair, server, lambda: run_git(source.parent, *words))  # noqa: B023
            assert len(run_git(mirror, "for-each-ref").splitlines()) == REFS + 2
    figures.append(clone)
    for figure in figures:
        print(f"  {figure.name}: {figure.judged:.2f} of the peer's time", flush=True)
    return figures


def _add(figure: Figure, pair: Pair, server: Server, work: Callable[[], object]) -> None:
    before = server.cpu_s()
    seconds = timed(work)
    if server is pair.hub:
        figure.ours.append(seconds)
        figure.our_cpu.append(server.cpu_s() - before)
    else:
        figure.peer.append(seconds)


def _push(server: Server, pair: Pair, target: str, body: bytes, count: int) -> None:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=3600)
    headers = {
        "Authorization": "Basic " + b64encode(f"u:{pair.token}".encode()).decode(),
        "Content-Type": "application/x-git-receive-pack-request",
    }
    connection.request("POST", target, body, headers)
    response = connection.getresponse()
    report = response.read()
    assert response.status == 200, response.status
    assert report.count(b"ok refs/") == count, report[:300]
    connection.close()
