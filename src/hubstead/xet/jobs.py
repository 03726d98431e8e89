"""Background jobs: delete unreferenced files and xorbs, convert LFS objects."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import structlog

from hubstead.blobs import BlobStore
from hubstead.db import Database
from hubstead.errors import BlobNotFound
from hubstead.settings import Settings
from hubstead.xet.conversion import Converter, plain_objects
from hubstead.xet.shards import ShardRefused
from hubstead.xet.store import XetStore
from hubstead.xet.unreferenced import delete_unreferenced_files, quarantine_xorbs, release_xorbs

FORGET = "xet.forget"
RETIRE = "xet.retire"
CONVERT = "xet.convert"

#: The interval of every job, in seconds.
EVERY_S = {FORGET: 3600.0, RETIRE: 3600.0}
CONVERT_EVERY_S = {CONVERT: 600.0}
#: The time after which a job returns, so that a node can drain; in seconds.
_MAX_RUN_S = 300.0

_log = structlog.get_logger("hubstead.xet")


def handlers(db: Database, settings: Settings) -> dict[str, Callable[[object], Awaitable[None]]]:
    """Return the handlers of the clean-up jobs; every run deletes until nothing is left."""

    async def forget(_job: object) -> None:
        while await delete_unreferenced_files(db):
            pass

    async def retire(_job: object) -> None:
        while await quarantine_xorbs(db, settings):
            pass
        while await release_xorbs(db, settings):
            pass

    return {FORGET: forget, RETIRE: retire}


def conversion(
    db: Database, store: BlobStore, xet: XetStore, settings: Settings
) -> dict[str, Callable[[object], Awaitable[None]]]:
    """Return the handler that converts LFS objects if the settings enable it."""

    async def convert(_job: object) -> None:
        if not settings.xet.convert:
            return
        converter, deadline = Converter(db, store, xet), time.monotonic() + _MAX_RUN_S
        async for row in plain_objects(db):
            try:
                await converter.convert(row.name)
            except (ShardRefused, BlobNotFound) as error:
                _log.warning("an LFS object stays as it is", sha256=row.name, why=error.message)
            if time.monotonic() > deadline:
                return

    return {CONVERT: convert}
