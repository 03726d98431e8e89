"""``python -m benchmarks``: run all measurements, or the named ones, and write the results."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    answers,
    commits,
    connections,
    git,
    hidden,
    lists,
    machine,
    refs,
    report,
    startup,
    transfers,
    xet,
)
from benchmarks.bench import Bench, folders
from benchmarks.figures import Figure
from benchmarks.peers import require_programs

MEASUREMENTS: dict[str, Callable[[Bench], list[Figure]]] = {
    "startup": startup.measure,
    "answers": answers.measure,
    "connections": connections.measure,
    "hidden": hidden.measure,
    "lists": lists.measure,
    "transfers": transfers.measure,
    "commits": commits.measure,
    "git": git.measure,
    "refs": refs.measure,
    "xet": xet.measure,
}
ROOT = Path(__file__).parent.parent


def main() -> None:
    arguments = _arguments()
    require_programs()
    about = machine.facts() | {"load before": machine.load()}
    figures: list[Figure] = []
    cache = ROOT / ".cache" / "benchmarks"
    for name in arguments.only or MEASUREMENTS:
        print(f"{name} …", flush=True)
        with folders(cache) as (disk, memory):
            bench = Bench(
                disk,
                memory,
                cache,
                rounds=arguments.rounds,
                seconds=arguments.seconds,
                repositories=arguments.repositories,
                scale=arguments.scale,
            )
            figures += MEASUREMENTS[name](bench)
    about["load after"] = machine.load()
    about["rounds"] = f"{arguments.rounds} of {arguments.seconds:g} s, peer and hub in turn"
    print(report.table(figures))
    if arguments.only is None or arguments.write:
        print("written:", report.write(ROOT / "benchmarks/results", arguments.date, figures, about))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, help="these; nothing is written")
    parser.add_argument("--write", action="store_true", help="write the results of --only as well")
    parser.add_argument("--rounds", type=int, default=5, help="of every measurement (5)")
    parser.add_argument("--seconds", type=float, default=4, help="of load in a round (4)")
    parser.add_argument("--repositories", type=int, default=1_000_000, help="rows (1000000)")
    parser.add_argument("--scale", type=float, default=1, help="of what Xet moves (1)")
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    parser.add_argument("--date", default=today, help="names the files of results (today)")
    return parser.parse_args()


main()
