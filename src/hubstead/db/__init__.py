"""The database: statements, one way to write, and the two engines behind it."""

from hubstead.db.clock import DatabaseNow, database_now_ms
from hubstead.db.interface import Conflict, Database, Reader, Tx, WriteFn
from hubstead.db.opening import migrate, open_db
from hubstead.db.restore_mark import (
    mark_restore,
    marked_restore,
    refuse_marked_folder,
    unmark_restore,
)
from hubstead.db.statements import Statement, adding, any_of, insert, point, scan, total

__all__ = [
    "Conflict",
    "Database",
    "DatabaseNow",
    "Reader",
    "Statement",
    "Tx",
    "WriteFn",
    "adding",
    "any_of",
    "database_now_ms",
    "insert",
    "mark_restore",
    "marked_restore",
    "migrate",
    "open_db",
    "point",
    "refuse_marked_folder",
    "scan",
    "total",
    "unmark_restore",
]
