"""Keeping a hub from deleting bytes for good while they are copied."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from hubstead.blobs import pause_deletion, resume_deletion
from hubstead.db import Database
from hubstead.errors import HubError

#: How long a pause outlives a backup that died, and how often a living one renews it.
PAUSE_S = 600.0
RENEW_EVERY_S = 60.0

_log = structlog.get_logger("hubstead.backup")


@asynccontextmanager
async def deletion_paused(db: Database) -> AsyncIterator[None]:
    """Let nothing be deleted for good while the block lasts, nor for long after a crash in it."""
    name = f"backup-{secrets.token_hex(8)}"
    await pause_deletion(db, name, PAUSE_S)
    renewing = asyncio.create_task(_renew(db, name))
    try:
        yield
    finally:
        renewing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await renewing
        try:
            await resume_deletion(db, name)
        except HubError as error:  # it ends by itself
            _log.warning("the pause could not be ended", error=error.message)


async def _renew(db: Database, name: str) -> None:
    while True:
        await asyncio.sleep(RENEW_EVERY_S)
        try:
            await pause_deletion(db, name, PAUSE_S)
        except HubError as error:  # there is time for more attempts
            _log.warning("the pause could not be renewed", error=error.message)
