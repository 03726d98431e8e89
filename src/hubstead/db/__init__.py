"""The database: typed statements, one way to write, and the engines SQLite and PostgreSQL.

Owns connections, transactions, migrations and the clock that all nodes share. Knows no table but
the mark of a restore: the rooms declare their tables and write their statements.
"""

from hubstead.db.clock import DatabaseNow, database_now_ms
from hubstead.db.connect import SCHEMA_VERSION, migrate, open_db, require_own_schema
from hubstead.db.free_pages import release_pages
from hubstead.db.future_stamps import FutureStamps, correct_stamps, future_stamps
from hubstead.db.interface import Conflict, Database, Reader, Tx, WriteFn
from hubstead.db.restore_mark import (
    RESTORE_FOLDER,
    SNAPSHOT_MARK,
    mark_restore,
    marked_restore,
    refuse_marked_folder,
    unmark_restore,
)
from hubstead.db.schema import Number, metadata, primary_key
from hubstead.db.sqlite import connect as connect_sqlite
from hubstead.db.sqlite_file import SqliteFile
from hubstead.db.statements import (
    Statement,
    any_of,
    bytewise,
    each_of,
    indexed,
    insert,
    insert_into,
    scan,
    total,
)
from hubstead.db.timeouts import Timeouts

__all__ = [
    "RESTORE_FOLDER",
    "SCHEMA_VERSION",
    "SNAPSHOT_MARK",
    "Conflict",
    "Database",
    "DatabaseNow",
    "FutureStamps",
    "Number",
    "Reader",
    "SqliteFile",
    "Statement",
    "Timeouts",
    "Tx",
    "WriteFn",
    "any_of",
    "bytewise",
    "connect_sqlite",
    "correct_stamps",
    "database_now_ms",
    "each_of",
    "future_stamps",
    "indexed",
    "insert",
    "insert_into",
    "mark_restore",
    "marked_restore",
    "metadata",
    "migrate",
    "open_db",
    "primary_key",
    "refuse_marked_folder",
    "release_pages",
    "require_own_schema",
    "scan",
    "total",
    "unmark_restore",
]
