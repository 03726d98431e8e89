"""``hubstead repair``."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click
import msgspec

from hubstead.cli.context import Context, run, with_context
from hubstead.cli.output import print_result


@click.command("repair")
@click.option(
    "--from",
    "backup",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="BACKUP",
    help="The folder of a backup that has right bytes.",
)
@click.option("--deep", is_flag=True, help="Read every blob; else only those that seem damaged.")
@with_context
def command(place: Context, *, backup: Path | None, deep: bool) -> None:
    """Put back single objects that are lost or damaged, and read each again to prove it.

    May be used beside a running hub. Looked at are blobs that are missing, have a wrong size or
    are marked damaged (`hubstead doctor --deep` marks those whose bytes are wrong), and every
    pack of git with its index. An index is made anew of its pack; other things come from the
    backup. Restart the hub after a pack or an index was put back. Ends with status 1 if something
    is still damaged.
    """
    from hubstead.app import open_storage
    from hubstead.backup import BackupFolder, RepairResult, repair_objects

    settings = place.settings()

    async def work() -> list[RepairResult]:
        source = BackupFolder(backup) if backup else None
        with source.locked(alone=False) if source else nullcontext():
            async with open_storage(settings) as stores:
                return [each async for each in repair_objects(stores, source, deep=deep)]

    outcomes = run(work)
    lines = [f"{each.subject}: {each.what}" for each in outcomes] or ["Nothing is damaged."]
    print_result(place, "\n".join(lines), {"objects": msgspec.to_builtins(outcomes)})
    if not all(each.whole for each in outcomes):
        raise SystemExit(1)
