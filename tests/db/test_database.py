"""The promises of ``Database`` on either engine: reads, writes and their errors."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from sqlalchemy import bindparam, delete, func, select, update

from hubstead.accounts.tables import accounts, members
from hubstead.db import Conflict, Database, Tx, any_of, indexed, insert, open_db, scan
from hubstead.errors import Unavailable

ADD = indexed(
    insert(accounts)
    .values(
        id=bindparam("id"),
        kind="user",
        name=bindparam("id"),
        name_key=bindparam("id"),
        fullname=bindparam("full"),
        created_ms=7,
    )
    .returning(accounts.c.pk),
    int,
)
NAMES = scan(
    select(accounts.c.name).where(any_of(accounts.c.name_key, "keys")).order_by("name"), str
)
BY_NUMBER = indexed(
    select(accounts.c.name).where(any_of(accounts.c.pk, "pks")).order_by("name"), str
)
COUNT = indexed(select(func.count().label("n")).select_from(accounts), int)
ORPHAN = indexed(insert(members).values(org_pk=98, user_pk=99, role="read", created_ms=0))
FULLNAME = indexed(
    update(accounts)
    .values(fullname=accounts.c.fullname + bindparam("more"))
    .where(accounts.c.name_key == bindparam("which"))
)
READ_FULLNAME = indexed(
    select(accounts.c.fullname).where(accounts.c.name_key == bindparam("which")).with_for_update(),
    str,
)
DELETE = indexed(delete(accounts).where(accounts.c.name_key == bindparam("which")))


async def add(tx: Tx, name: str, full: str = "") -> int:
    return await tx.single(ADD, id=name, full=full)


async def count(db: Database) -> int:
    return await db.single(COUNT)


async def fullname(db: Database, name: str) -> str:
    return await db.single(READ_FULLNAME, which=name)


async def names(db: Database, *keys: str) -> list[str]:
    return await db.all(NAMES, keys=list(keys))


async def test_a_write_is_readable_when_it_returns(db: Database) -> None:
    pk = await db.write(add, "anna")
    assert await names(db, "anna") == ["anna"]
    assert await db.all(BY_NUMBER, pks=[pk]) == ["anna"]


async def test_write_passes_its_arguments_on(db: Database) -> None:
    pk = await db.write(add, "anna", full="Anna A.")
    assert await db.all(BY_NUMBER, pks=[pk]) == ["anna"]
    assert await fullname(db, "anna") == "Anna A."


async def test_one_returns_the_first_row_or_none(db: Database) -> None:
    assert await count(db) == 0
    assert await db.one(NAMES, keys=["nobody"]) is None


async def test_any_of_takes_lists_of_any_length(db: Database) -> None:
    pks = [await db.write(add, f"u{n}") for n in range(5)]
    assert await names(db) == []
    assert await names(db, "u1", "u3", "absent", "u1") == ["u1", "u3"]
    assert len(await db.all(BY_NUMBER, pks=pks + list(range(1000, 4000)))) == 5


async def test_any_of_takes_texts_that_look_like_json_or_sql(db: Database) -> None:
    odd = ['a"b', "it's", "[1]", "{x}", "a,b", "ü\N{SNOWMAN}", "\\", "null"]
    for name in odd:
        await db.write(add, name)
    assert sorted(await names(db, *odd)) == sorted(odd)


async def test_a_write_that_raises_changes_nothing(db: Database) -> None:
    async def half(tx: Tx) -> None:
        await tx.one(ADD, id="anna", full="")
        raise LookupError("half way")

    with pytest.raises(LookupError, match="half way"):
        await db.write(half)
    assert await count(db) == 0


async def test_a_taken_name_is_a_conflict(db: Database) -> None:
    await db.write(add, "anna")
    with pytest.raises(Conflict):
        await db.write(add, "anna")


async def test_a_dangling_reference_is_a_conflict(db: Database) -> None:
    async def orphan(tx: Tx) -> None:
        await tx.run(ORPHAN)

    with pytest.raises(Conflict):
        await db.write(orphan)


async def test_a_write_function_sees_the_conflict_at_its_statement(db: Database) -> None:
    async def twice(tx: Tx) -> str:
        await tx.one(ADD, id="anna", full="")
        try:
            await tx.one(ADD, id="anna", full="")
        except Conflict as conflict:
            raise LookupError("taken") from conflict
        return "both"

    with pytest.raises(LookupError, match="taken"):
        await db.write(twice)
    assert await count(db) == 0


async def test_run_returns_the_number_of_rows_it_changed(db: Database) -> None:
    await db.write(add, "anna")

    async def rename(tx: Tx) -> tuple[int, int]:
        changed = await tx.run(FULLNAME, which="anna", more="A")
        return changed, await tx.run(FULLNAME, which="absent", more="A")

    assert await db.write(rename) == (1, 0)


async def test_many_runs_once_per_row(db: Database) -> None:
    for name in "abc":
        await db.write(add, name)

    async def several(tx: Tx) -> None:
        await tx.run_many(FULLNAME, [{"which": name, "more": name * 2} for name in "ab"])
        await tx.run_many(DELETE, [])

    await db.write(several)
    assert await fullname(db, "b") == "bb"
    assert await fullname(db, "c") == ""


async def test_a_failing_write_does_not_affect_concurrent_ones(db: Database) -> None:
    async def failing(tx: Tx) -> None:
        await tx.one(ADD, id="never", full="")
        await tx.one(ADD, id="never", full="")

    writes = [db.write(failing) if n % 3 == 1 else db.write(add, f"u{n:02}") for n in range(30)]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [isinstance(outcome, Conflict) for outcome in outcomes] == [
        n % 3 == 1 for n in range(30)
    ]
    assert await count(db) == 20


async def test_concurrent_read_modify_writes_lose_nothing(db: Database) -> None:
    await db.write(add, "anna")

    async def append(tx: Tx) -> None:
        fullname = await tx.single(READ_FULLNAME, which="anna")
        await tx.run(FULLNAME, which="anna", more=str(len(fullname) % 10))

    await asyncio.gather(*(db.write(append) for _ in range(40)))
    assert await fullname(db, "anna") == "0123456789" * 4


async def test_cancelling_the_caller_does_not_cancel_the_write(db: Database) -> None:
    task = asyncio.create_task(db.write(add, "anna"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(200):
        if await count(db):
            break
        await asyncio.sleep(0.01)
    assert await names(db, "anna") == ["anna"]


async def test_close_finishes_submitted_writes_and_refuses_new_ones(database_url: str) -> None:
    db = await open_db(database_url)
    writes = [asyncio.create_task(db.write(add, f"u{n}")) for n in range(20)]
    await asyncio.sleep(0)
    await db.close()
    assert len(await asyncio.gather(*writes)) == 20
    with pytest.raises(Unavailable):
        await db.write(add, "late")

    again = await open_db(database_url)
    assert await count(again) == 20
    await again.close()


async def test_an_unknown_parameter_is_an_error(db: Database) -> None:
    with pytest.raises(TypeError, match="no parameter nme"):
        await db.one(NAMES, keys=[], nme="anna")


async def test_check_of_a_ready_database_succeeds(db: Database) -> None:
    await db.ready()


async def test_a_write_that_swallows_an_error_is_never_committed_in_part(db: Database) -> None:
    async def careless(tx: Tx) -> str:
        await tx.one(ADD, id="anna", full="")
        with contextlib.suppress(Conflict):
            await tx.one(ADD, id="anna", full="")
        return "done"

    if db.dialect_name == "sqlite":
        assert await db.write(careless) == "done"
        assert await names(db, "anna") == ["anna"]
    else:
        with pytest.raises(RuntimeError, match="went on after an error"):
            await db.write(careless)
        assert await names(db, "anna") == []
