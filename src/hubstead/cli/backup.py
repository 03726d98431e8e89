"""``hubstead backup``: creates, lists and checks snapshots."""

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
    Snapshot,
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
    help="Afterwards delete all snapshots but the newest N.",
)
@click.option("--keep-going", is_flag=True, help="Go on if the hub lacks bytes, and name them.")
@click.option("--list", "only_list", is_flag=True, help="Only list the snapshots in FOLDER.")
@click.option(
    "--check", "only_check", is_flag=True, help="Only read the whole backup and verify it."
)
@with_context
def command(
    context: Context,
    folder: Path,
    *,
    keep: int | None,
    keep_going: bool,
    only_list: bool,
    only_check: bool,
) -> None:
    """Add a consistent snapshot of the hub to FOLDER.

    The hub may run and accept writes meanwhile. Bytes that FOLDER has from earlier snapshots are
    not copied again. FOLDER contains the hub's secrets: protect it like the hub itself.

    Exit status: 0 if the snapshot (with --check: the backup) is complete; 1 if bytes are missing
    or damaged, or the command fails; 2 if its options or arguments are wrong.
    """
    if only_list:
        _list(context, folder)
    elif only_check:
        _check(context, folder)
    else:
        _create(context, folder, keep, keep_going=keep_going)


def _list(context: Context, folder: Path) -> None:
    snapshots = BackupFolder(folder).snapshots()
    columns = ("id", "made", "shape", "objects", "size", "new", "lacking", "fault")
    print_rows(context, [_row(snapshot) for snapshot in snapshots], columns)


def _row(snapshot: Snapshot) -> Facts:
    try:
        manifest = snapshot.read()
    except BackupFault as error:
        nothing = dict.fromkeys(("made", "shape", "objects", "size", "new", "lacking"), "")
        return {"id": snapshot.id, **nothing, "fault": "; ".join(error.faults)}
    return {
        **msgspec.to_builtins(manifest),
        "made": iso_time(manifest.made_ms),
        "fault": "",
        "objects": manifest.total.count,
        "size": human_size(manifest.total.bytes + manifest.database_bytes),
        "new": human_size(manifest.new.bytes),
        "lacking": len(manifest.lacking),
    }


def _check(context: Context, folder: Path) -> None:
    printer = ProgressPrinter()

    async def check() -> list[str]:
        backup = BackupFolder(folder)
        with backup.locked(alone=False):
            return [fault async for fault in check_backup(backup, Progress(printer))]

    faults = run(check)
    printer.end()
    print_result(context, "\n".join(faults) or "The backup is in order.", {"faults": faults})
    if faults:
        raise SystemExit(1)


def _create(context: Context, folder: Path, keep: int | None, *, keep_going: bool) -> None:
    from hubstead.app import open_storage

    settings, printer, started = context.settings(), ProgressPrinter(), time.monotonic()

    async def create() -> tuple[Manifest, Amount]:
        async with open_storage(settings) as storage:
            target = BackupFolder(folder, make=True)
            with target.locked(alone=True):
                progress = Progress(printer)
                manifest = await create_backup(storage, target, progress, keep_going=keep_going)
                return manifest, await prune_snapshots(target, keep) if keep else Amount()

    try:
        manifest, removed = run(create)
    except BackupFault as error:
        raise failure(error) from error
    finally:
        printer.end()
    seconds = time.monotonic() - started
    facts = {**msgspec.to_builtins(manifest), "removed": msgspec.to_builtins(removed)}
    print_result(
        context, _summary(manifest, removed, seconds), {**facts, "seconds": round(seconds, 3)}
    )
    if manifest.lacking:
        raise SystemExit(1)


def _summary(manifest: Manifest, removed: Amount, seconds: float) -> str:
    total, new = manifest.total, manifest.new
    lines = [
        f"Snapshot {manifest.id}: {sum(manifest.tables.values())} rows, {total.count} objects "
        f"of {human_size(total.bytes)}.",
        f"New: {new.count} objects of {human_size(new.bytes)}, and the database of "
        f"{human_size(manifest.database_bytes)}, in {seconds:.1f} s.",
    ]
    if removed.count:
        lines.append(f"Removed: {removed.count} objects of {human_size(removed.bytes)}.")
    if manifest.lacking:
        lines += ["The hub lacks these objects, so the snapshot lacks them too:", *manifest.lacking]
    return "\n".join(lines)


def failure(error: BackupFault) -> Failure:
    """Return a failure whose message lists every fault of ``error``."""
    return Failure("\n".join([f"{error.what}:", *error.faults]))
