"""The mark of an incomplete restore, so that no server starts on half a hub.

A restore sets the mark first and removes it last. The mark has two parts. A folder in the data
folder exists before the database does. A row follows, which every node of a shared database
reads, whatever its own data folder contains.
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

#: A folder in the data folder while a restore is incomplete.
RESTORE_FOLDER = "restoring"
#: A file in it with the id of the snapshot, once bytes may be restored.
SNAPSHOT_MARK = "snapshot"


class RestoreMark(NamedTuple):
    """An incomplete restore."""

    snapshot: str
    loaded_ms: int | None  # when its rows were loaded


_MARK = indexed(select(restore_marks.c.snapshot, restore_marks.c.loaded_ms), RestoreMark)
_ADD = indexed(insert_into(restore_marks, "snapshot", "begun_ms").on_conflict_do_nothing())
_REMOVE = indexed(delete(restore_marks))


async def marked_restore(reader: Reader) -> RestoreMark | None:
    """Return the incomplete restore, if any."""
    return await reader.one(_MARK)


async def mark_restore(db: Database, snapshot: str) -> None:
    """Record durably that a restore of ``snapshot`` begins. Idempotent."""
    await db.write(lambda tx: tx.run(_ADD, snapshot=snapshot, begun_ms=now_ms()))


async def unmark_restore(db: Database) -> None:
    """Record durably that the restore is complete."""
    await db.write(lambda tx: tx.run(_REMOVE))


async def refuse_marked(reader: Reader) -> None:
    """Refuse a database with an incomplete restore.

    Raises:
        Unavailable: a restore is incomplete; the reason says how to continue.
    """
    mark = await marked_restore(reader)
    if mark is not None:
        raise _incomplete(mark.snapshot)


def refuse_marked_folder(data: Path) -> None:
    """Refuse a data folder with an incomplete restore.

    Raises:
        Unavailable: a restore is incomplete; the reason says how to continue.
    """
    folder = data / RESTORE_FOLDER
    if folder.is_dir():
        file = folder / SNAPSHOT_MARK
        raise _incomplete(file.read_text() if file.is_file() else "")


def _incomplete(snapshot: str) -> Unavailable:
    of = f" of the snapshot {snapshot}" if snapshot else ""
    which = f" --snapshot {snapshot}" if snapshot else ""
    return Unavailable(
        reason=f"a restore{of} into this hub is not complete: unless it is still running, go on"
        f" with `hubstead restore FOLDER{which}`; to begin anew, empty the database, the store"
        " and the data folder"
    )
