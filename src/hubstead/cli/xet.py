"""``hubstead xet …``."""

from __future__ import annotations

import click

from hubstead.cli.context import Context, run, with_context
from hubstead.cli.output import Facts, human_size, print_rows
from hubstead.errors import BlobNotFound


@click.group("xet")
def command() -> None:
    """Work on what clients of Xet upload and download."""


@command.command("convert")
@click.option("--dry-run", is_flag=True, help="Only tell which LFS objects are plain.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most so many objects.")
@with_context
def convert(place: Context, *, dry_run: bool, limit: int | None) -> None:
    """Cut LFS objects into chunks, so that they deduplicate too.

    Every object is put together from what was stored and compared with its sha256 before its
    plain bytes may go; they go after the grace period (blob_grace_seconds). May be used beside a
    running hub, interrupted and repeated. Needs the extra `convert`:
    pip install 'hubstead[convert]' where the hub is installed.
    """
    from hubstead.app import open_storage
    from hubstead.xet import Converter, ShardRefused, plain_objects

    settings = place.settings()

    async def work() -> list[Facts]:
        done: list[Facts] = []
        async with open_storage(settings) as stores:
            converter = None if dry_run else Converter(stores.db, stores.blobs, stores.xet)
            async for row in plain_objects(stores.db):
                if limit is not None and len(done) >= limit:
                    break
                if converter is None:
                    done.append(_facts(row.name, row.bytes, None, "plain"))
                    continue
                try:
                    made = await converter.convert(row.name)
                except (ShardRefused, BlobNotFound) as error:
                    done.append(_facts(row.name, row.bytes, None, error.message))
                    continue
                if made is not None:
                    done.append(_facts(row.name, row.bytes, made.stored, "converted"))
        return done

    print_rows(place, run(work), ("object", "size", "newly_stored", "outcome"))


def _facts(name: str, size: int, stored: int | None, outcome: str) -> Facts:
    return {
        "object": name,
        "bytes": size,
        "size": human_size(size),
        "stored_bytes": stored,
        "newly_stored": "" if stored is None else human_size(stored),
        "outcome": outcome,
    }
