"""Background jobs: delete unreferenced files and xorbs, convert LFS objects."""

from __future__ import annotations

import time

import structlog

from hubstead.blobs import BlobStore
from hubstead.db import Database
from hubstead.errors import BlobNotFound
from hubstead.jobs import Job, JobType
from hubstead.settings import BlobSettings, XetSettings
from hubstead.xet.conversion import Converter, plain_objects
from hubstead.xet.shards import ShardRefused
from hubstead.xet.store import XetStore
from hubstead.xet.unreferenced import delete_unreferenced_files, quarantine_xorbs, release_xorbs

DELETE_FILES = "xet.forget"
QUARANTINE = "xet.retire"
CONVERT = "xet.convert"

#: The time after which a job returns, so that a node can drain; in seconds.
_MAX_RUN_S = 300.0

_log = structlog.get_logger("hubstead.xet")


def xet_jobs(
    db: Database,
    store: BlobStore,
    xet: XetStore,
    settings: XetSettings,
    blob_settings: BlobSettings,
) -> list[JobType]:
    """Return the room's types of jobs."""
    return [*_deletions(db, settings, blob_settings), _conversion(db, store, xet, settings)]


def _deletions(db: Database, settings: XetSettings, blob_settings: BlobSettings) -> list[JobType]:
    """Every job deletes until nothing is left."""

    async def delete_files(_job: Job) -> None:
        while await delete_unreferenced_files(db, settings):
            pass

    async def quarantine(_job: Job) -> None:
        while await quarantine_xorbs(db, settings, blob_settings):
            pass
        while await release_xorbs(db, settings, blob_settings):
            pass

    return [
        JobType(name=DELETE_FILES, handler=delete_files, interval_s=3600.0),
        JobType(name=QUARANTINE, handler=quarantine, interval_s=3600.0),
    ]


def _conversion(db: Database, store: BlobStore, xet: XetStore, settings: XetSettings) -> JobType:
    async def convert(_job: Job) -> None:
        if not settings.convert:
            return
        converter, deadline = Converter(db, store, xet), time.monotonic() + _MAX_RUN_S
        async for row in plain_objects(db):
            try:
                await converter.convert(row.name)
            except (ShardRefused, BlobNotFound) as error:
                _log.warning("an LFS object stays as it is", sha256=row.name, why=error.message)
            if time.monotonic() > deadline:
                return

    return JobType(name=CONVERT, handler=convert, interval_s=600.0)
