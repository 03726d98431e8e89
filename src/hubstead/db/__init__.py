"""The database: statements, one way to write, and the two engines behind it."""

from hubstead.db.clock import DatabaseNow, database_now_ms
from hubstead.db.connect import migrate, open_db
from hubstead.db.interface import Conflict, Database, Reader, Tx, WriteFn
from hubstead.db.restore_mark import (
    mark_restore,
    marked_restore,
    refuse_marked_folder,
    unmark_restore,
)
from hubstead.db.statements import Statement, any_of, indexed, insert, insert_into, scan, total

__all__ = [
    "Conflict",
    "Database",
    "DatabaseNow",
    "Reader",
    "Statement",
    "Tx",
    "WriteFn",
    "any_of",
    "database_now_ms",
    "indexed",
    "insert",
    "insert_into",
    "mark_restore",
    "marked_restore",
    "migrate",
    "open_db",
    "refuse_marked_folder",
    "scan",
    "total",
    "unmark_restore",
]
