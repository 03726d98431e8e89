"""``hubstead restore``."""

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
@click.option("--snapshot", "wanted", metavar="ID", help="Which one; the newest unless given.")
@click.option("--verify", "and_verify", is_flag=True, help="Compare the hub with the snapshot.")
@with_context
def command(place: Context, folder: Path, *, wanted: str | None, and_verify: bool) -> None:
    """Make a hub of a snapshot in FOLDER, where the settings say and nothing is yet.

    The hub may have another shape than the one that was backed up. With --verify the result is
    compared with the snapshot, row by row and byte by byte; a hub that is there already is
    compared only, which makes sense while nobody has written to it. Ends with status 1 if
    anything is missing, damaged or different.
    """
    settings, watch, started = place.settings(), ProgressPrinter(), time.monotonic()

    async def work() -> tuple[Manifest, bool, list[str]]:
        source = BackupFolder(folder)
        with source.locked(alone=False):
            snapshot = source.snapshot(wanted)
            return await _work(settings, source, snapshot, Progress(watch), and_verify=and_verify)

    try:
        manifest, restored, differences = run(work)
    except BackupFault as faulty:
        raise failure(faulty) from faulty
    finally:
        watch.end()
    seconds = time.monotonic() - started
    facts = {
        "snapshot": msgspec.to_builtins(manifest),
        "restored": restored,
        "verified": and_verify,
        "differences": differences,
        "seconds": round(seconds, 3),
    }
    print_result(place, _summary(manifest, facts, seconds), facts)
    if differences or (restored and manifest.lacking):
        raise SystemExit(1)


async def _work(
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
            async with open_storage(settings, make=True, restoring=True) as stores:
                await restore_snapshot(stores, source, snapshot, progress)
    differences = []
    if and_verify:
        async with open_storage(settings) as stores:
            differences = [
                each async for each in verify_restore(stores, source, snapshot, progress)
            ]
    return snapshot.read(), empty, differences


def _summary(manifest: Manifest, facts: dict[str, object], seconds: float) -> str:
    total = manifest.total
    what = "Restored" if facts["restored"] else "Compared with"
    lines = [
        f"{what} the snapshot {manifest.id}: {sum(manifest.tables.values())} rows, "
        f"{total.count} objects of {human_size(total.bytes)}, in {seconds:.1f} s."
    ]
    if facts["restored"] and manifest.lacking:
        lines += ["The hub that was backed up lacked these:", *manifest.lacking]
    if facts["differences"]:
        lines += ["They differ:", *facts["differences"]]  # type: ignore[misc]
    elif facts["verified"]:
        lines.append("Every row and every byte is the same.")
    return "\n".join(lines)
