"""``hubstead doctor``: runs the checks of room ``doctor``."""

from __future__ import annotations

import json
from collections import Counter

import click
import msgspec

from hubstead.cli.context import Context, run, with_context
from hubstead.cli.output import printable
from hubstead.doctor import Finding, Inspection, Severity, run_checks


@click.command("doctor")
@click.option("--quick", is_flag=True, help="Skip git fsck and all trees but the newest.")
@click.option("--deep", is_flag=True, help="Read every blob and verify its digest.")
@click.option("--strict", is_flag=True, help="Exit with status 1 for warnings as well.")
@with_context
def command(context: Context, *, quick: bool, deep: bool, strict: bool) -> None:
    """Check the database against stored bytes and git, beside a running hub or without one.

    The only change: --deep marks blobs with wrong bytes as damaged, so that an upload of the same
    bytes, or `hubstead repair`, replaces them.

    Exit status: 0 if there is no fault; 1 if something that the database promises is missing or
    damaged (with --strict: if there is a warning), or the command fails; 2 if its options are
    wrong. Leftovers ("litter") never count.
    """
    from hubstead.app import open_storage

    settings = context.settings()

    async def check() -> list[Finding]:
        findings = []
        async with open_storage(settings) as storage:
            async for finding in run_checks(Inspection(storage, quick=quick, deep=deep)):
                findings.append(finding)
                if not context.as_json:
                    _print(finding)
        return findings

    findings = run(check)
    counts = Counter(finding.severity for finding in findings)
    failures = counts[Severity.FAULT] + (counts[Severity.WARNING] if strict else 0)
    if context.as_json:
        report = {
            "healthy": not failures,
            "counts": {severity.value: counts[severity] for severity in Severity},
            "findings": [msgspec.to_builtins(finding) for finding in findings],
        }
        click.echo(json.dumps(report, indent=2))
    elif findings:
        click.echo(", ".join(f"{severity}: {counts[severity]}" for severity in Severity))
    else:
        click.echo("Everything is in order.")
    if failures:
        raise SystemExit(1)


def _print(finding: Finding) -> None:
    line = f"{finding.severity.value:8}{finding.subject}: {finding.what} ({finding.check})"
    click.echo(printable(line))
    click.echo(f"        → {printable(finding.hint)}")
