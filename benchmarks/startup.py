"""The time from the command to the first response, and the memory of an idle hub."""

from __future__ import annotations

import shutil
import time

from benchmarks import hub
from benchmarks.bench import Bench
from benchmarks.figures import Figure, Goal
from benchmarks.raw_client import whole

IDLE_S = 3


def measure(bench: Bench) -> list[Figure]:
    """Measure starts on an empty folder (with the database's creation) and on a used one."""
    first = Figure("first start ever, to the first answer", "s", Goal("value", 1.5, above=False))
    again = Figure("start to the first answer", "s", Goal("value", 1.5, above=False))
    again.cpu_unit = first.cpu_unit = "s"
    idle = Figure(
        f"resident memory {IDLE_S} s after the start", "MB", Goal("value", 90, above=False)
    )
    data = bench.disk / "starting"
    for _ in range(bench.rounds):
        shutil.rmtree(data, ignore_errors=True)
        for figure in (first, again):
            server = hub.start_hub(data)
            _, body = whole(server.port, "/healthz")
            figure.ours.append(time.perf_counter() - server.started)
            figure.our_cpu.append(server.cpu_s())
            assert body == b'{"status":"ok"}'
            if figure is again:
                time.sleep(IDLE_S)
                idle.ours.append(server.rss_mb())
            server.stop()
    print(f"  start: {again.judged:.2f} s, idle {idle.judged:.0f} MB", flush=True)
    return [first, again, idle]
