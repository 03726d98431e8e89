"""Space of an SQLite database comes back: free pages, and a write-ahead log that a reader grew."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import text

from hubstead.db import indexed, migrate, open_db, release_pages
from hubstead.db.sqlite import connect

_FILL = indexed(
    text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
        "INSERT INTO job (type, subject, payload, due_ms, created_ms) "
        "SELECT 'x', i, hex(zeroblob(2000)), 0, 0 FROM n"
    )
)
_EMPTY = indexed(text("DELETE FROM job"))


async def test_free_pages_go_back_to_the_disk_but_for_a_reserve(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    await migrate(f"sqlite:///{path}")
    db = await open_db(f"sqlite:///{path}")
    await db.execute(_FILL)
    await db.execute(_EMPTY)
    with closing(sqlite3.connect(path)) as other:
        before = other.execute("PRAGMA page_count").fetchone()[0]
        assert other.execute("PRAGMA freelist_count").fetchone()[0] > 2500
        released = await release_pages(db, spare_pages=10)
        assert released >= 1000
        assert other.execute("PRAGMA page_count").fetchone()[0] <= before - released
        assert await release_pages(db, spare_pages=10) == 0
    await db.close()


def test_a_log_that_a_long_reader_grew_shrinks_again(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    log = tmp_path / "hub.db-wal"
    limit = 1 << 20
    with closing(connect(path, log_bytes=limit)) as writer, closing(connect(path)) as reader:
        writer.execute("CREATE TABLE t (x)")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t").fetchall()
        for _ in range(40):
            writer.execute("INSERT INTO t VALUES (zeroblob(100000))")
        assert log.stat().st_size > 2 * limit
        reader.execute("COMMIT")
        for _ in range(2):  # the first one copies the log into the file, the second starts it over
            writer.execute("PRAGMA wal_checkpoint")
            writer.execute("INSERT INTO t VALUES (1)")
        assert log.stat().st_size <= limit
