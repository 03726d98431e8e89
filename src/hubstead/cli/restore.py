"""``hubstead restore``: restores a snapshot and compares hubs with snapshots."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

from hubstead.backup import (
    BackupFault,
    BackupFolder,
    Manifest,
    Progress,
    Snapshot,
    awaits_restore,
    marked_folder,
    restore_snapshot,
    verify_restore,
)
from hubstead.cli.backup import failure
from hubstead.cli.context import Context, run, with_context
from hubstead.cli.output import human_size, print_result
from hubstead.cli.progress import ProgressPrinter
from hubstead.errors import InvalidInput
from hubstead.settings import Settings


@click.command("restore")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--snapshot",
    "snapshot_id",
    metavar="ID",
    help="The snapshot to restore; by default the newest.",
)
@click.option(
    "--verify", "and_verify", is_flag=True, help="Compare the hub with the snapshot afterwards."
)
@with_context
def command(context: Context, folder: Path, *, snapshot_id: str | None, and_verify: bool) -> None:
    """Restore a snapshot in FOLDER into an empty hub, at the location that the settings give.

    The hub may use another database and store than the one that was backed up. --verify compares
    the hub with the snapshot, row by row and byte by byte; an existing hub is only compared,
    which is useful before the first write to it.

    Exit status: 0 if the hub is restored (and equals the snapshot); 1 if anything is missing,
    damaged or different, or the command fails; 2 if its options or arguments are wrong.
    """
    settings, printer, started = context.settings(), ProgressPrinter(), time.monotonic()

    async def restore() -> tuple[Manifest, bool, list[str]]:
        source = BackupFolder(folder)
        with source.locked(alone=False):
            snapshot = source.snapshot(snapshot_id)
            return await _restore(
                settings, source, snapshot, Progress(printer), and_verify=and_verify
            )

    try:
        manifest, restored, differences = run(restore)
    except BackupFault as error:
        raise failure(error) from error
    finally:
        printer.end()
    seconds = time.monotonic() - started
    facts = {
        "snapshot": msgspec.to_builtins(manifest),
        "restored": restored,
        "verified": and_verify,
        "differences": differences,
        "seconds": round(seconds, 3),
    }
    print_result(context, _summary(manifest, facts, seconds), facts)
    if differences or (restored and manifest.lacking):
        raise SystemExit(1)


async def _restore(
    settings: Settings,
    source: BackupFolder,
    snapshot: Snapshot,
    progress: Progress,
    *,
    and_verify: bool,
) -> tuple[Manifest, bool, list[str]]:
    from hubstead.app import lock_data_folder, open_storage

    empty = await awaits_restore(settings.database_url)
    if not empty and not and_verify:
        raise InvalidInput(reason="the database is not empty: restore into a new one")
    if empty:
        with lock_data_folder(settings.data), marked_folder(settings.data):
            async with open_storage(settings, make=True, restoring=True) as storage:
                await restore_snapshot(storage, source, snapshot, progress)
    differences = []
    if and_verify:
        async with open_storage(settings) as storage:
            differences = [
                difference
                async for difference in verify_restore(storage, source, snapshot, progress)
            ]
    return snapshot.read(), empty, differences


def _summary(manifest: Manifest, facts: dict[str, object], seconds: float) -> str:
    total = manifest.total
    verb = "Restored" if facts["restored"] else "Compared with"
    lines = [
        f"{verb} the snapshot {manifest.id}: {sum(manifest.tables.values())} rows, "
        f"{total.count} objects of {human_size(total.bytes)}, in {seconds:.1f} s."
    ]
    if facts["restored"] and manifest.lacking:
        lines += ["The hub that was backed up lacked these objects:", *manifest.lacking]
    if facts["differences"]:
        lines += ["Differences:", *facts["differences"]]  # type: ignore[misc]
    elif facts["verified"]:
        lines.append("Every row and every byte is the same.")
    return "\n".join(lines)
