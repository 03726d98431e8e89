"""The mark of a restore that is not complete: half a hub must not pass for a whole one.

A restore makes the mark first and removes it last. The mark has two parts. A folder in the data
folder exists before the database does. A row follows, which every node of a shared database and
store reads, whatever its own data folder holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sqlalchemy import delete, select

from hubstead.db.interface import Database, Reader
from hubstead.db.statements import indexed, insert_into
from hubstead.db.tables import restore_marks
from hubstead.errors import Unavailable
from hubstead.ids import now_ms

#: In the data folder while a restore is not complete.
RESTORE_FOLDER = "restoring"
#: In that folder, once bytes may be there: the id of the snapshot.
SNAPSHOT_MARK = "snapshot"


class RestoreMark(NamedTuple):
    """A restore that is not complete."""

    snapshot: str
    loaded_ms: int | None  # when its rows came


_MARK = indexed(select(restore_marks.c.snapshot, restore_marks.c.loaded_ms), RestoreMark)
_ADD = indexed(insert_into(restore_marks, "snapshot", "begun_ms").on_conflict_do_nothing())
_REMOVE = indexed(delete(restore_marks))


async def marked_restore(reader: Reader) -> RestoreMark | None:
    """Return the restore that is not complete, if any."""
    return await reader.one(_MARK)


async def mark_restore(db: Database, snapshot: str) -> None:
    """Note, durably, that a restore of ``snapshot`` begins. Harmless when repeated."""
    await db.write(lambda tx: tx.run(_ADD, snapshot=snapshot, begun_ms=now_ms()))


async def unmark_restore(db: Database) -> None:
    """Note, durably, that the restore is complete."""
    await db.write(lambda tx: tx.run(_REMOVE))


async def refuse_marked(reader: Reader) -> None:
    """Return if no restore into this database is incomplete.

    Raises:
        Unavailable: one is; the reason says how to go on.
    """
    mark = await marked_restore(reader)
    if mark is not None:
        raise _incomplete(mark.snapshot)


def refuse_marked_folder(data: Path) -> None:
    """Return if no restore that used this data folder is incomplete.

    Raises:
        Unavailable: one is; the reason says how to go on.
    """
    place = data / RESTORE_FOLDER
    if place.is_dir():
        file = place / SNAPSHOT_MARK
        raise _incomplete(file.read_text() if file.is_file() else "")


def _incomplete(snapshot: str) -> Unavailable:
    of = f" of the snapshot {snapshot}" if snapshot else ""
    which = f" --snapshot {snapshot}" if snapshot else ""
    return Unavailable(
        reason=f"a restore{of} into this hub is not complete: unless it is still running, go on"
        f" with `hubstead restore FOLDER{which}`; to begin anew, empty the database, the store"
        " and the data folder"
    )
