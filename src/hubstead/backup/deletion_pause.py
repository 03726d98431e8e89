"""Pauses the deletion of bytes in a hub while a backup copies them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from hubstead.blobs import pause_deletion, resume_deletion
from hubstead.db import Database
from hubstead.errors import HubError, StorageReadOnly

#: How long a pause outlives a crashed backup, and how often a running backup renews it.
PAUSE_S = 600.0
RENEW_EVERY_S = 60.0

_log = structlog.get_logger("hubstead.backup")


@asynccontextmanager
async def deletion_paused(db: Database) -> AsyncIterator[None]:
    """Pause deletion inside the block; after a crash the pause expires in ``PAUSE_S`` seconds."""
    name = f"backup-{secrets.token_hex(8)}"
    try:
        await pause_deletion(db, name, PAUSE_S)
    except StorageReadOnly:  # a copy of a hub: nothing deletes in it
        yield
        return
    renewal = asyncio.create_task(_renew(db, name))
    try:
        yield
    finally:
        renewal.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await renewal
        try:
            await resume_deletion(db, name)
        except HubError as error:  # the pause expires by itself
            _log.warning("the pause could not be ended", error=error.message)


async def _renew(db: Database, name: str) -> None:
    while True:
        await asyncio.sleep(RENEW_EVERY_S)
        try:
            await pause_deletion(db, name, PAUSE_S)
        except HubError as error:  # PAUSE_S allows for more attempts
            _log.warning("the pause could not be renewed", error=error.message)
