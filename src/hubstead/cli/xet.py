"""``hubstead xet``: conversion of plain LFS objects."""

from __future__ import annotations

import click

from hubstead.cli.context import Context, run, with_context
from hubstead.cli.output import Facts, human_size, print_rows
from hubstead.errors import BlobNotFound


@click.group("xet")
def command() -> None:
    """Convert plain LFS objects to deduplicated chunks."""


@command.command("convert")
@click.option("--dry-run", is_flag=True, help="Only list the plain LFS objects.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="The largest number of objects.")
@with_context
def convert(context: Context, *, dry_run: bool, limit: int | None) -> None:
    """Cut plain LFS objects into chunks, so that they deduplicate.

    The command reconstructs every object from its chunks and verifies its sha256; only then the
    plain bytes expire, after the grace period (blob_grace_seconds). Works beside a running hub;
    may be interrupted and repeated. Needs the extra `convert`: pip install 'hubstead[convert]' in
    the environment of the hub.
    """
    from hubstead.app import open_storage
    from hubstead.xet import Converter, ShardRefused, plain_objects

    settings = context.settings()

    async def run_conversion() -> list[Facts]:
        rows: list[Facts] = []
        async with open_storage(settings) as storage:
            converter = None if dry_run else Converter(storage.db, storage.blobs, storage.xet)
            async for plain in plain_objects(storage.db):
                if limit is not None and len(rows) >= limit:
                    break
                if converter is None:
                    rows.append(_facts(plain.name, plain.bytes, None, "plain"))
                    continue
                try:
                    converted = await converter.convert(plain.name)
                except (ShardRefused, BlobNotFound) as error:
                    rows.append(_facts(plain.name, plain.bytes, None, error.message))
                    continue
                if converted is not None:
                    rows.append(_facts(plain.name, plain.bytes, converted.stored, "converted"))
        return rows

    print_rows(context, run(run_conversion), ("object", "size", "newly_stored", "outcome"))


def _facts(name: str, size: int, stored: int | None, outcome: str) -> Facts:
    return {
        "object": name,
        "bytes": size,
        "size": human_size(size),
        "stored_bytes": stored,
        "newly_stored": "" if stored is None else human_size(stored),
        "outcome": outcome,
    }
