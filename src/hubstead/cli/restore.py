"""``hubstead restore``."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

from hubstead.backup import (
    BackupFolder,
    Faulty,
    Manifest,
    Progress,
    Snapshot,
    awaits_restore,
    marked_folder,
    restore,
    verify,
)
from hubstead.cli.backup import failure
from hubstead.cli.places import Place, run, with_place
from hubstead.cli.printing import about, say
from hubstead.cli.watching import Watch
from hubstead.errors import InvalidInput
from hubstead.settings import Settings


@click.command("restore")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--snapshot", "wanted", metavar="ID", help="Which one; the newest unless given.")
@click.option("--verify", "and_verify", is_flag=True, help="Compare the hub with the snapshot.")
@with_place
def command(place: Place, folder: Path, *, wanted: str | None, and_verify: bool) -> None:
    """Make a hub of a snapshot in FOLDER, where the settings say and nothing is yet.

    The hub may have another shape than the one that was backed up. With --verify the result is
    compared with the snapshot, row by row and byte by byte; a hub that is there already is
    compared only, which makes sense while nobody has written to it. Ends with status 1 if
    anything is missing, damaged or different.
    """
    settings, watch, started = place.settings(), Watch(), time.monotonic()

    async def work() -> tuple[Manifest, bool, list[str]]:
        source = BackupFolder(folder)
        with source.held(alone=False):
            snapshot = source.snapshot(wanted)
            return await _work(settings, source, snapshot, Progress(watch), and_verify=and_verify)

    try:
        manifest, restored, differences = run(work)
    except Faulty as faulty:
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
    say(place, _summary(manifest, facts, seconds), facts)
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
    from hubstead.app import holding, opened_stores

    empty = await awaits_restore(settings.database_url)
    if not empty and not and_verify:
        raise InvalidInput(reason="the database is not empty: restore into a new one")
    if empty:
        with holding(settings.data), marked_folder(settings.data):
            async with opened_stores(settings, make=True, restoring=True) as stores:
                await restore(stores, source, snapshot, progress)
    differences = []
    if and_verify:
        async with opened_stores(settings) as stores:
            differences = [each async for each in verify(stores, source, snapshot, progress)]
    return snapshot.read(), empty, differences


def _summary(manifest: Manifest, facts: dict[str, object], seconds: float) -> str:
    total = manifest.total
    what = "Restored" if facts["restored"] else "Compared with"
    lines = [
        f"{what} the snapshot {manifest.id}: {sum(manifest.tables.values())} rows, "
        f"{total.count} objects of {about(total.bytes)}, in {seconds:.1f} s."
    ]
    if facts["restored"] and manifest.lacking:
        lines += ["The hub that was backed up lacked these:", *manifest.lacking]
    if facts["differences"]:
        lines += ["They differ:", *facts["differences"]]  # type: ignore[misc]
    elif facts["verified"]:
        lines.append("Every row and every byte is the same.")
    return "\n".join(lines)
