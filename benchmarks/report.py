"""Results as files: one pair (Markdown, JSON) per run, and the history over all runs."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, percentile

_HEAD = "| what | hub (p95) | peer | ratio | goal | | hub CPU | peer CPU |\n" + "|---" * 8 + "|"


def write(folder: Path, date: str, figures: list[Figure], about: dict[str, str]) -> Path:
    """Write ``DATE.md`` and ``DATE.json``, and the history again; return the first.

    Remarks below a line ``## Remarks`` of an earlier file of that date are preserved.
    """
    folder.mkdir(exist_ok=True)
    page = folder / f"{date}.md"
    remarks = page.read_text().partition("## Remarks")[2] if page.exists() else ""
    results = [asdict(figure) | {"judged": figure.judged, "met": figure.met} for figure in figures]
    data = {"date": date, "about": about, "figures": results}
    page.with_suffix(".json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    lines = [f"# Speed on {date}", "", *(f"- {name}: {value}" for name, value in about.items())]
    lines += ["", table(figures)]
    notes = [f"- {figure.name}: {figure.note}" for figure in figures if figure.note]
    lines += ["", *notes, ""] if notes else [""]
    text = "\n".join(lines)
    page.write_text(f"{text}\n## Remarks{remarks}" if remarks else text)
    _write_history(folder)
    return page


def table(figures: list[Figure]) -> str:
    return "\n".join([_HEAD, *map(_row, figures)])


def _row(figure: Figure) -> str:
    ours = f"{_short(statistics.median(figure.ours))} {figure.unit}"
    ours += f" ({_short(percentile(figure.ours, 0.95))})"
    peer = f"{_short(statistics.median(figure.peer))}, {figure.peer_name}" if figure.peer else ""
    ratio = _short(statistics.median(figure.ratios)) if figure.peer else ""
    goal = (
        f"{figure.goal} {'×' if figure.goal.of == 'ratio' else figure.unit}" if figure.goal else ""
    )
    met = {None: "", True: "met", False: "**missed**"}[figure.met]
    cpu = [_cpu(values, figure.cpu_unit) for values in (figure.our_cpu, figure.peer_cpu)]
    return f"| {figure.name} | {ours} | {peer} | {ratio} | {goal} | {met} | {cpu[0]} | {cpu[1]} |"


def _cpu(values: list[float], unit: str) -> str:
    return f"{_short(statistics.median(values))} {unit}" if values else ""


def _short(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


_HISTORY = """\
# Speed, run by run

One line for each figure that has a goal, one column for each run; see `docs/benchmarks.md`.
A figure "of the peer" is the median of per-round ratios. **Bold**: the goal was missed.
"""


def _write_history(folder: Path) -> None:
    runs = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    names: dict[str, dict[str, Any]] = {}
    for run in runs:
        names |= {figure["name"]: figure for figure in run["figures"] if figure["goal"]}
    dates = [run["date"] for run in runs]
    lines = [_HISTORY, f"| figure | compared with | goal | {' | '.join(dates)} |"]
    lines.append("|---" * (3 + len(dates)) + "|")
    for name, newest in names.items():
        cells = [_cell(run, name) for run in runs]
        goal = f"{'≥' if newest['goal']['above'] else '<'} {newest['goal']['bound']:g}"
        compared = f"{newest['peer_name'] or '—'}"
        unit = "of the peer" if newest["goal"]["of"] == "ratio" else newest["unit"]
        lines.append(f"| {name} | {compared} | {goal} {unit} | {' | '.join(cells)} |")
    (folder / "README.md").write_text("\n".join(lines) + "\n")


def _cell(run: dict[str, Any], name: str) -> str:
    for figure in run["figures"]:
        if figure["name"] == name:
            text = _short(figure["judged"])
            return text if figure["met"] else f"**{text}**"
    return ""
