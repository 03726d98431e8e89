"""``hubstead backup``."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

from hubstead.backup import (
    Amount,
    BackupFault,
    BackupFolder,
    Manifest,
    Progress,
    check_backup,
    create_backup,
    prune_snapshots,
)
from hubstead.cli.context import Context, run, with_context
from hubstead.cli.output import Facts, human_size, iso_time, print_result, print_rows
from hubstead.cli.progress import ProgressPrinter
from hubstead.cli.root import Failure


@click.command("backup")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help="Then remove all but the newest N snapshots.",
)
@click.option("--keep-going", is_flag=True, help="Also if the hub lacks bytes; they are named.")
@click.option("--list", "only_list", is_flag=True, help="Only list the snapshots there are.")
@click.option(
    "--check", "only_check", is_flag=True, help="Only read the whole backup, and check it."
)
@with_context
def command(
    place: Context,
    folder: Path,
    *,
    keep: int | None,
    keep_going: bool,
    only_list: bool,
    only_check: bool,
) -> None:
    """Add a snapshot of the hub, as it is at one moment, to FOLDER.

    The hub may be running and written to. Bytes that FOLDER has from earlier snapshots are not
    copied again. FOLDER holds the hub's secrets: keep it as safe as the hub. Ends with status 1
    if anything is missing or damaged.
    """
    if only_list:
        _list(place, folder)
    elif only_check:
        _check(place, folder)
    else:
        _make(place, folder, keep, keep_going=keep_going)


def _list(place: Context, folder: Path) -> None:
    snapshots = BackupFolder(folder).snapshots()
    columns = ("id", "made", "shape", "objects", "size", "new", "lacking")
    print_rows(place, [_row(each.read()) for each in snapshots], columns)


def _row(manifest: Manifest) -> Facts:
    return {
        **msgspec.to_builtins(manifest),
        "made": iso_time(manifest.made_ms),
        "objects": manifest.total.count,
        "size": human_size(manifest.total.bytes + manifest.database_bytes),
        "new": human_size(manifest.new.bytes),
        "lacking": len(manifest.lacking),
    }


def _check(place: Context, folder: Path) -> None:
    watch = ProgressPrinter()

    async def look() -> list[str]:
        held = BackupFolder(folder)
        with held.locked(alone=False):
            return [fault async for fault in check_backup(held, Progress(watch))]

    faults = run(look)
    watch.end()
    print_result(place, "\n".join(faults) or "The backup is in order.", {"faults": faults})
    if faults:
        raise SystemExit(1)


def _make(place: Context, folder: Path, keep: int | None, *, keep_going: bool) -> None:
    from hubstead.app import open_storage

    settings, watch, started = place.settings(), ProgressPrinter(), time.monotonic()

    async def make() -> tuple[Manifest, Amount]:
        async with open_storage(settings) as stores:
            target = BackupFolder(folder, make=True)
            with target.locked(alone=True):
                progress = Progress(watch)
                manifest = await create_backup(stores, target, progress, keep_going=keep_going)
                return manifest, await prune_snapshots(target, keep) if keep else Amount()

    try:
        manifest, gone = run(make)
    except BackupFault as faulty:
        raise failure(faulty) from faulty
    finally:
        watch.end()
    seconds = time.monotonic() - started
    facts = {**msgspec.to_builtins(manifest), "removed": msgspec.to_builtins(gone)}
    print_result(place, _summary(manifest, gone, seconds), {**facts, "seconds": round(seconds, 3)})
    if manifest.lacking:
        raise SystemExit(1)


def _summary(manifest: Manifest, gone: Amount, seconds: float) -> str:
    total, new = manifest.total, manifest.new
    lines = [
        f"Snapshot {manifest.id}: {sum(manifest.tables.values())} rows, {total.count} objects "
        f"of {human_size(total.bytes)}.",
        f"New: {new.count} objects of {human_size(new.bytes)}, and the database of "
        f"{human_size(manifest.database_bytes)}, in {seconds:.1f} s.",
    ]
    if gone.count:
        lines.append(f"Removed: {gone.count} objects of {human_size(gone.bytes)}.")
    if manifest.lacking:
        lines += ["The hub lacks these, so the snapshot does:", *manifest.lacking]
    return "\n".join(lines)


def failure(faulty: BackupFault) -> Failure:
    """Return what people are told of faults: all of them."""
    return Failure("\n".join([f"{faulty.what}:", *faulty.faults]))
