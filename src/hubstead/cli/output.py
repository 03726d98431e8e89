"""Output of commands: aligned columns and sentences as text, or JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import click

from hubstead.cli.context import Context

Facts = Mapping[str, object]


def print_rows(context: Context, rows: Sequence[Facts], columns: Sequence[str] = ()) -> None:
    """Print a table.

    Args:
        context: Decides between text and JSON.
        rows: One mapping per row; JSON has all their fields.
        columns: The fields that the text shows; by default all.
    """
    if context.as_json:
        click.echo(json.dumps(rows, indent=2, default=str))
        return
    if not rows:
        click.echo("(none)")
        return
    names = list(columns) or list(rows[0])
    lines = [[name.replace("_", " ").upper() for name in names]]
    lines += [[printable(row[name]) for name in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def print_facts(context: Context, facts: Facts) -> None:
    """Print one record: one field per line, or a JSON object."""
    if context.as_json:
        click.echo(json.dumps(facts, indent=2, default=str))
        return
    width = max(map(len, facts)) + 1
    for name, value in facts.items():
        label = f"{name.replace('_', ' ')}:"
        click.echo(f"{label.ljust(width)} {printable(value)}".rstrip())


def print_result(context: Context, sentence: str, facts: Facts) -> None:
    """Print the result of an action: a sentence, or a JSON object."""
    click.echo(json.dumps(facts, indent=2, default=str) if context.as_json else sentence)


def printable(value: object) -> str:
    """Return one line of text without control characters, safe for a terminal."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(printable, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key} ({printable(item)})" for key, item in value.items())
    text = str(value)
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def iso_time(ms: int | None) -> str | None:
    """Return a stored time (milliseconds since the epoch) as ISO 8601 in UTC, to the second."""
    if ms is None:
        return None
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def human_size(count: int) -> str:
    """Return a number of bytes in decimal units: ``1.3 GB``."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
