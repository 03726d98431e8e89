"""``hubstead repair``: replaces lost and damaged objects."""

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
    help="The folder of a backup to copy objects from.",
)
@click.option("--deep", is_flag=True, help="Read every blob, not only those that seem damaged.")
@with_context
def command(context: Context, *, backup: Path | None, deep: bool) -> None:
    """Replace single objects that are lost or damaged, and read them again as proof.

    Works beside a running hub. Examines blobs that are missing, have a wrong size or are marked
    as damaged (`hubstead doctor --deep` marks blobs with wrong bytes), and every git pack with its
    index. Rebuilds an index from its pack; copies other objects from the backup. Restart the hub
    after the repair of a pack or an index.

    Exit status: 0 if every object is whole; 1 if an object is still damaged, or the command fails;
    2 if its options are wrong.
    """
    from hubstead.app import open_storage
    from hubstead.backup import BackupFolder, RepairResult, repair_objects

    settings = context.settings()

    async def repair() -> list[RepairResult]:
        source = BackupFolder(backup) if backup else None
        with source.locked(alone=False) if source else nullcontext():
            async with open_storage(settings) as storage:
                return [result async for result in repair_objects(storage, source, deep=deep)]

    results = run(repair)
    lines = [f"{result.subject}: {result.what}" for result in results] or ["Nothing is damaged."]
    print_result(context, "\n".join(lines), {"objects": msgspec.to_builtins(results)})
    if not all(result.whole for result in results):
        raise SystemExit(1)
