"""A PostgreSQL that cannot be used is one line for the operator, without the password."""

from __future__ import annotations

import secrets

import pytest

from hubstead.db import migrate, open_db
from hubstead.errors import Unavailable
from tests.support.services import Postgres


async def reasons(url: str) -> set[str]:
    """Return why the database can be neither migrated nor opened."""
    found = set()
    for work in (migrate, open_db):
        with pytest.raises(Unavailable) as refused:
            await work(url)
        found.add(refused.value.reason)
    return found


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            "postgresql://hub:hunter2/x@127.0.0.1/hub",
            "the setting database is not like postgresql://user:password@host/name, with special "
            "characters percent-encoded",
        ),
        (
            "postgresql://hub:hunter2@127.0.0.1:1/hub?sslmode=perhaps",
            "the setting database is wrong: `sslmode` parameter must be one of: disable, allow, "
            "prefer, require, verify-ca, verify-full",
        ),
        (
            "postgresql://hub:hunter2@/hub?host=/absent",
            "the database cannot be reached: [Errno 2] No such file or directory",
        ),
    ],
)
async def test_an_address_without_a_database_is_reported(url: str, reason: str) -> None:
    assert await reasons(url) == {reason}


async def test_a_missing_database_is_reported(postgres_server: Postgres) -> None:
    reason = 'database "absent" does not exist: create it (docs/running.md)'
    assert await reasons(postgres_server.url("absent")) == {reason}


async def test_a_role_without_the_right_to_create_tables_is_reported(
    postgres_server: Postgres,
) -> None:
    role = f"weak_{secrets.token_hex(4)}"
    postgres_server.run(f"CREATE ROLE {role} LOGIN")
    url = postgres_server.fresh_database().replace("postgres@", f"{role}@")
    with pytest.raises(Unavailable) as refused:
        await migrate(url)
    assert refused.value.reason.startswith("the database cannot be migrated: ")
    assert refused.value.reason.endswith("permission denied for schema public")


async def test_settings_that_lose_writes_are_listed(postgres_server: Postgres) -> None:
    """The server of the tests runs without all three, for speed."""
    name = f"t_{secrets.token_hex(6)}"
    url = postgres_server.fresh_database(name)
    postgres_server.run(f"ALTER DATABASE {name} SET synchronous_commit = local")
    await migrate(url)
    db = await open_db(url)
    assert await db.lossy_settings() == ["fsync=off", "full_page_writes=off"]
    await db.close()
