"""Honest clients beside each attack: what they are refused, how long they wait, what is left.

``make siege`` starts a hub with the settings of a new installation, measures honest clients in a
quiet time, then beside one attack after the other, and writes a dated file into
``benchmarks/results/``. Attackers run at low priority, from addresses and accounts of their own.
"""

from __future__ import annotations

import datetime
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks import machine
from benchmarks.attacks import ATTACKS, MALLORY, prepare
from benchmarks.hub import (
    admin_token,
    command,
    commit,
    commit_body,
    make_repo,
    model_files,
    start_hub,
)
from benchmarks.processes import Server
from benchmarks.raw_client import api, whole

SECONDS = float(os.environ.get("SIEGE_SECONDS", "8"))
HONEST = 4
PAUSE_S = 0.01
#: How long after an attack its work may go on.
AFTER_S = 5.0
GOAL_P99_MS, GOAL_MORE_MB = 50.0, 300.0
REPO = "admin/plain"
_PATHS = (
    f"/{REPO}/resolve/main/config.json",
    f"/api/models/{REPO}/tree/main",
    f"/api/models/{REPO}",
    "/api/whoami-v2",
)


@dataclass
class Honest:
    """What honest clients saw: milliseconds per answer, and answers other than 200."""

    waits_ms: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    """One attack."""

    name: str
    answers: int
    refused: int
    p50_ms: float
    p99_ms: float
    worst_ms: float
    more_mb: float  # the most memory of the server and its children, above idle
    left_running: int  # calls in lanes and child processes 5 s after the attack
    outcome: str = ""


def honest_clients(server: Server, token: str, until: threading.Event) -> Honest:
    """Ask for small things over and over, on a connection for each request, until told to stop."""
    seen = Honest()

    def ask() -> None:
        turn = 0
        while not until.is_set():
            path = _PATHS[turn % len(_PATHS)]
            turn += 1
            started = time.perf_counter()
            try:
                status, _ = whole(server.port, path, token)
            except OSError as error:
                status = type(error).__name__
            seen.waits_ms.append((time.perf_counter() - started) * 1000)
            if "200" not in status:
                seen.refused.append(f"{path}: {status}")
            until.wait(PAUSE_S)

    threads = [threading.Thread(target=ask) for _ in range(HONEST)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def besiege(server: Server, token: str, name: str, world: dict[str, str]) -> Result:
    """Measure honest clients beside an attack; without one if ``name`` is ``quiet``."""
    idle = server.rss_mb()
    until, peak = threading.Event(), [idle]

    def watch() -> None:
        while not until.wait(0.2):
            peak[0] = max(peak[0], server.rss_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    attacker = _attack(server, name, world) if name != "quiet" else None
    timer = threading.Timer(SECONDS, until.set)
    timer.start()
    seen = honest_clients(server, token, until)
    watcher.join()
    outcome = ""
    if attacker is not None:
        os.killpg(attacker.pid, signal.SIGKILL)
        outcome = Path(world["outcome"]).read_text() if Path(world["outcome"]).exists() else ""
        attacker.wait()
        time.sleep(AFTER_S)
    waits = sorted(seen.waits_ms)
    for refusal in seen.refused[:5]:
        print(f"  refused: {refusal}")
    return Result(
        name=name,
        answers=len(waits),
        refused=len(seen.refused),
        p50_ms=round(statistics.median(waits), 1),
        p99_ms=round(waits[int(len(waits) * 0.99)], 1),
        worst_ms=round(waits[-1], 1),
        more_mb=round(peak[0] - idle),
        left_running=_left_running(server, token),
        outcome=outcome,
    )


def _attack(server: Server, name: str, world: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start an attack in a process of its own, at low priority."""
    Path(world["outcome"]).unlink(missing_ok=True)
    command = ["nice", "-n", "19", sys.executable, "-m", "benchmarks.attacks"]
    arguments = [name, str(server.port), json.dumps(world)]
    return subprocess.Popen([*command, *arguments], start_new_session=True)


def _left_running(server: Server, token: str) -> int:
    text = whole(server.port, "/metrics", token)[1].decode()
    lanes = [line for line in text.splitlines() if line.startswith("hubstead_lane_running")]
    # The exposition itself runs in a lane.
    running = sum(float(line.rpartition(" ")[2]) for line in lanes if "background" not in line)
    return int(running) + server.children()


def report(results: list[Result], folder: Path) -> Path:
    """Write the results; return the page."""
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    rows = [
        f"| {r.name} | {r.answers} | {r.refused} | {r.p50_ms} | {r.p99_ms} | {r.worst_ms} "
        f"| {r.more_mb:+.0f} | {r.left_running} | {r.outcome} |"
        for r in results
    ]
    head = (
        f"# Siege of {date}\n\n{HONEST} honest clients, a new connection for each request, beside "
        f"each attack, {SECONDS:g} s. Goals: none refused, p99 under {GOAL_P99_MS:g} ms, memory "
        f"(server and its programs) within {GOAL_MORE_MB:g} MB of idle, nothing left running "
        f"{AFTER_S:g} s later.\n\n"
        f"Load of the machine at the end: {machine.load()}. "
        f"Machine: {'; '.join(f'{name}: {text}' for name, text in machine.facts().items())}\n\n"
        "| attack | answers | refused | p50 ms | p99 ms | worst ms | memory MB | left "
        "| attackers saw |\n|---|---|---|---|---|---|---|---|---|\n"
    )
    page = folder / f"{date}-siege.md"
    page.write_text(head + "\n".join(rows) + "\n")
    page.with_suffix(".json").write_text(json.dumps([asdict(r) for r in results], indent=1) + "\n")
    return page


def main() -> int:
    """Run all attacks, or those named on the command line; return 1 if a goal is missed."""
    names = sys.argv[1:] or list(ATTACKS)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "hub"
        server = start_hub(data)
        try:
            token = admin_token(data)
            call = api(server.port, token)
            make_repo(call, "admin/plain")
            commit(call, REPO, commit_body(model_files()))
            command(data, "user", "create", MALLORY)
            mallory = command(data, "token", "create", MALLORY, "--role", "write")["token"]
            world = prepare(Path(folder), server.port, mallory)
            results = []
            for name in ["quiet", *names]:
                results.append(besiege(server, token, name, world))
                print(results[-1], flush=True)
        finally:
            server.stop()
    page = report(results, Path(__file__).parent / "results")
    print(page.read_text())
    missed = [
        r
        for r in results
        if r.refused or r.p99_ms > GOAL_P99_MS or r.more_mb > GOAL_MORE_MB or r.left_running
    ]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
