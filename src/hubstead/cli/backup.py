"""``hubstead backup``."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

from hubstead.backup import (
    Amount,
    BackupFolder,
    Faulty,
    Manifest,
    Progress,
    check,
    make_backup,
    prune,
)
from hubstead.cli.places import Place, run, with_place
from hubstead.cli.printing import Facts, about, moment, say, show_rows
from hubstead.cli.root import Failure
from hubstead.cli.watching import Watch


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
@with_place
def command(
    place: Place,
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


def _list(place: Place, folder: Path) -> None:
    snapshots = BackupFolder(folder).snapshots()
    columns = ("id", "made", "shape", "objects", "size", "new", "lacking")
    show_rows(place, [_row(each.read()) for each in snapshots], columns)


def _row(manifest: Manifest) -> Facts:
    return {
        **msgspec.to_builtins(manifest),
        "made": moment(manifest.made_ms),
        "objects": manifest.total.count,
        "size": about(manifest.total.bytes + manifest.database_bytes),
        "new": about(manifest.new.bytes),
        "lacking": len(manifest.lacking),
    }


def _check(place: Place, folder: Path) -> None:
    watch = Watch()

    async def look() -> list[str]:
        held = BackupFolder(folder)
        with held.held(alone=False):
            return [fault async for fault in check(held, Progress(watch))]

    faults = run(look)
    watch.end()
    say(place, "\n".join(faults) or "The backup is in order.", {"faults": faults})
    if faults:
        raise SystemExit(1)


def _make(place: Place, folder: Path, keep: int | None, *, keep_going: bool) -> None:
    from hubstead.app import opened_stores

    settings, watch, started = place.settings(), Watch(), time.monotonic()

    async def make() -> tuple[Manifest, Amount]:
        async with opened_stores(settings) as stores:
            target = BackupFolder(folder, make=True)
            with target.held(alone=True):
                progress = Progress(watch)
                manifest = await make_backup(stores, target, progress, keep_going=keep_going)
                return manifest, await prune(target, keep) if keep else Amount()

    try:
        manifest, gone = run(make)
    except Faulty as faulty:
        raise failure(faulty) from faulty
    finally:
        watch.end()
    seconds = time.monotonic() - started
    facts = {**msgspec.to_builtins(manifest), "removed": msgspec.to_builtins(gone)}
    say(place, _summary(manifest, gone, seconds), {**facts, "seconds": round(seconds, 3)})
    if manifest.lacking:
        raise SystemExit(1)


def _summary(manifest: Manifest, gone: Amount, seconds: float) -> str:
    total, new = manifest.total, manifest.new
    lines = [
        f"Snapshot {manifest.id}: {sum(manifest.tables.values())} rows, {total.count} objects "
        f"of {about(total.bytes)}.",
        f"New: {new.count} objects of {about(new.bytes)}, and the database of "
        f"{about(manifest.database_bytes)}, in {seconds:.1f} s.",
    ]
    if gone.count:
        lines.append(f"Removed: {gone.count} objects of {about(gone.bytes)}.")
    if manifest.lacking:
        lines += ["The hub lacks these, so the snapshot does:", *manifest.lacking]
    return "\n".join(lines)


def failure(faulty: Faulty) -> Failure:
    """Return what people are told of faults: all of them."""
    return Failure("\n".join([f"{faulty.what}:", *faulty.faults]))
