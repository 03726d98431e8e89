"""PgBouncer in transaction mode between the hub and PostgreSQL."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import bindparam, func, literal, select

from hubstead.accounts import add_user, find_account
from hubstead.db import migrate, open_db
from hubstead.db.postgres import PostgresDatabase
from hubstead.errors import Unavailable
from tests.support.processes import die_with_parent
from tests.support.rows import reading
from tests.support.services import Postgres

_PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
_CONFIG = """\
[databases]
* = host={socket} user=postgres
[pgbouncer]
pool_mode = transaction
default_pool_size = 3
auth_type = any
listen_addr =
unix_socket_dir = {folder}
listen_port = 6432
logfile = {folder}/log
pidfile = {folder}/pid
"""


@pytest.fixture(scope="module")
def pooled_folder(
    postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The folder of the socket of a PgBouncer that has three connections for all."""
    if _PROGRAM is None:
        pytest.skip("no pgbouncer")
    folder = Path("/tmp") / f"hubstead-pgbouncer-{time.time_ns()}"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    config = folder / "pgbouncer.ini"
    config.write_text(_CONFIG.format(socket=postgres_server.folder, folder=folder))
    process = subprocess.Popen(
        [_PROGRAM, "-q", "-u", "nobody", config],
        preexec_fn=die_with_parent,  # noqa: PLW1509
    )
    while not (folder / ".s.PGSQL.6432").exists():
        assert process.poll() is None, (folder / "log").read_text()
        time.sleep(0.01)
    yield folder
    process.terminate()
    process.wait()
    shutil.rmtree(folder)


def pooled_url(folder: Path, url: str) -> str:
    database = url.partition("postgres@/")[2].partition("?")[0]
    return f"postgresql://postgres@/{database}?host={folder}&port=6432"


async def test_a_hub_migrates_reads_and_writes_behind_pgbouncer(
    pooled_folder: Path, postgres_server: Postgres
) -> None:
    url = pooled_url(pooled_folder, postgres_server.fresh_database())
    await migrate(url)
    nodes = [await open_db(url, pool_size=10) for _ in range(2)]
    assert all(isinstance(node, PostgresDatabase) and node.is_pooled for node in nodes)
    statements = [
        reading(select((literal(number) + bindparam("n", type_=None)).label("sum")))
        for number in range(20)
    ]

    async def work(number: int) -> None:
        node = nodes[number % 2]
        await node.write(add_user, f"user-{number}")
        assert (await find_account(node, f"user-{number}")).name == f"user-{number}"
        for add, statement in enumerate(statements):
            assert (await node.single(statement, n=number)).sum == number + add

    await asyncio.gather(*(work(number) for number in range(40)))
    for node in nodes:
        await node.close()


async def test_a_direct_connection_keeps_its_prepared_statements(postgresql_url: str) -> None:
    db = await open_db(postgresql_url)
    assert isinstance(db, PostgresDatabase)
    assert not db.is_pooled
    await db.close()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    ],
)
async def test_a_lost_or_cancelled_backend_is_unavailable_and_the_next_call_works(
    postgresql_url: str, sql: str
) -> None:
    db = await open_db(postgresql_url, pool_size=1)
    sleeping = reading(select(literal(1).label("n"), func.pg_sleep(60).label("slept")))
    waiting = asyncio.ensure_future(db.all(sleeping))
    other = await asyncpg.connect(postgresql_url)
    while not await other.fetchval(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event = 'PgSleep'"
    ):
        await asyncio.sleep(0.01)
    await other.execute(sql)
    with pytest.raises(Unavailable):
        await waiting
    await other.close()
    await db.ready()
    await db.close()


async def test_a_read_only_standby_is_unavailable(postgresql_url: str) -> None:
    url = f"{postgresql_url}&options=-c%20default_transaction_read_only%3Don"
    db = await open_db(url)
    with pytest.raises(Unavailable):
        await db.write(add_user, "anna")
    await db.close()
