"""The room's background work: letting go of files and xorbs that nothing needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hubstead.db import Database
from hubstead.settings import Settings
from hubstead.xet.retiring import doom_xorbs, forget_files, retire_xorbs

FORGET = "xet.forget"
RETIRE = "xet.retire"

#: How often each job is due, in seconds.
EVERY_S = {FORGET: 3600.0, RETIRE: 3600.0}


def handlers(db: Database, settings: Settings) -> dict[str, Callable[[object], Awaitable[None]]]:
    """Return who does the jobs of this room; each goes on until nothing is left to do."""

    async def forget(_job: object) -> None:
        while await forget_files(db):
            pass

    async def retire(_job: object) -> None:
        while await doom_xorbs(db, settings):
            pass
        while await retire_xorbs(db, settings):
            pass

    return {FORGET: forget, RETIRE: retire}
