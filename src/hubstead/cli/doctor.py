"""``hubstead doctor``."""

from __future__ import annotations

import json
from collections import Counter

import click
import msgspec

from hubstead.cli.context import Context, run, with_context
from hubstead.cli.output import printable
from hubstead.doctor import Fault, Inspection, Severity, run_checks


@click.command("doctor")
@click.option("--quick", is_flag=True, help="Leave out git fsck and all trees but the newest.")
@click.option("--deep", is_flag=True, help="Read every blob and compare its digest.")
@click.option("--strict", is_flag=True, help="End with status 1 for warnings as well.")
@with_context
def command(place: Context, *, quick: bool, deep: bool, strict: bool) -> None:
    """Check the database against the bytes and git, beside a running hub or without.

    Nothing is changed, but that --deep marks blobs whose bytes are wrong: an upload of the same
    bytes, or `hubstead repair`, then replaces them. Ends with status 1 if there is a fault:
    something that the database promises is missing or damaged. Warnings and litter are listed,
    and do not count.
    """
    from hubstead.app import open_storage

    settings = place.settings()

    async def look() -> list[Fault]:
        found = []
        async with open_storage(settings) as stores:
            async for finding in run_checks(Inspection(stores, quick=quick, deep=deep)):
                found.append(finding)
                if not place.as_json:
                    _print(finding)
        return found

    found = run(look)
    counts = Counter(finding.severity for finding in found)
    bad = counts[Severity.FAULT] + (counts[Severity.WARNING] if strict else 0)
    if place.as_json:
        answer = {
            "healthy": not bad,
            "counts": {severity.value: counts[severity] for severity in Severity},
            "findings": [msgspec.to_builtins(finding) for finding in found],
        }
        click.echo(json.dumps(answer, indent=2))
    elif found:
        click.echo(", ".join(f"{severity}: {counts[severity]}" for severity in Severity))
    else:
        click.echo("Everything is in order.")
    if bad:
        raise SystemExit(1)


def _print(finding: Fault) -> None:
    what = f"{finding.severity.value:8}{finding.subject}: {finding.what} ({finding.check})"
    click.echo(printable(what))
    click.echo(f"        → {printable(finding.hint)}")
