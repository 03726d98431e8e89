"""Collections as rows: writers at once, counts, slugs, and the indexes that lists follow."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import update

from hubstead.accounts import delete_account
from hubstead.app import ACCOUNT_RELEASES
from hubstead.collections import (
    Collection,
    CollectionExists,
    CollectionLimits,
    CollectionQuery,
    ItemExists,
    NewCollection,
    NewItem,
    add_item,
    add_upvote,
    collection_slug,
    create_collection,
    every_collection,
    list_collections,
    list_items,
    object_id_of,
    open_collection,
    wrong_upvote_counts,
)
from hubstead.collections.queries import Shape, listing
from hubstead.collections.tables import collections
from hubstead.db import Database, indexed
from hubstead.db.statements import sqlite_dialect
from tests.support.factories import a_repo, a_user

LIMITS = CollectionLimits(100, 100)


@pytest.mark.shape_matters
async def test_of_writers_at_once_one_creates_a_collection_and_one_adds_an_item(
    db: Database,
) -> None:
    anna = await a_user(db, "anna")
    new = NewCollection(title="Trees")
    creations = [create_collection(db, anna, new, LIMITS) for _ in range(5)]
    results = await asyncio.gather(*creations, return_exceptions=True)
    (created,) = [result for result in results if isinstance(result, Collection)]
    slugs = {result.slug for result in results if isinstance(result, CollectionExists)}
    assert slugs == {created.slug}
    repos = [await a_repo(db, anna, f"anna/r{n}") for n in range(4)]
    names = [repo.full_name for repo in repos for _ in range(2)]
    additions = [add_item(db, anna, created.slug, NewItem("model", name), LIMITS) for name in names]
    refusals = await asyncio.gather(*additions, return_exceptions=True)
    assert sum(isinstance(refusal, ItemExists) for refusal in refusals) == 4
    items = (await list_items(db, anna, [created.pk]))[created.pk]
    assert sorted(item.target for item in items) == sorted(repo.id for repo in repos)
    assert [item.position for item in items] == [0, 1, 2, 3]


@pytest.mark.shape_matters
async def test_upvotes_are_counted_until_their_account_ends(db: Database) -> None:
    anna, *people = [await a_user(db, f"user-{n}") for n in range(4)]
    created = await create_collection(db, anna, NewCollection(title="Trees"), LIMITS)
    await asyncio.gather(*[add_upvote(db, person, created.slug) for person in people * 2])
    assert (await open_collection(db, anna, created.slug)).upvotes == 3
    await delete_account(db, people[0].name, "user", ACCOUNT_RELEASES)
    assert (await open_collection(db, anna, created.slug)).upvotes == 2
    assert await wrong_upvote_counts(db) == []
    await db.execute(indexed(update(collections).values(upvotes=7)))
    (wrong,) = await wrong_upvote_counts(db)
    assert (wrong.collection_id, wrong.counted, wrong.upvotes) == (created.id, 7, 2)
    await delete_account(db, anna.name, "user", ACCOUNT_RELEASES)
    assert [row async for row in every_collection(db)] == []


async def test_a_query_with_special_characters_matches_them(db: Database) -> None:
    anna = await a_user(db, "anna")
    for title in ("100% oak", "100 oaks", "Ödland"):
        await create_collection(db, anna, NewCollection(title=title), LIMITS)
    for text, titles in (("0% o", ["100% oak"]), ("ÖDL", ["Ödland"]), ("_", []), ("\0", None)):
        page = await list_collections(db, anna, CollectionQuery(text=text))
        listed = [row.title for row in page.collections]
        assert listed == titles or (titles is None and len(listed) == 3), text


@pytest.mark.parametrize(
    ("title", "slug"),
    [("My cool stuff", "a/my-cool-stuff-ID"), (" -Öl & Co- ", "a/l-co-ID"), ("日本", "a/ID")],
)
def test_a_slug_has_the_words_of_the_title_and_ends_in_the_id(title: str, slug: str) -> None:
    object_id = "0123456789abcdef01234567"
    made = collection_slug("a", title, object_id)
    assert made == slug.replace("ID", object_id)
    assert object_id_of(made) == object_id
    assert object_id_of(made[:-1]) is None


@pytest.mark.parametrize("sort", ["lastModified", "upvotes"])
@pytest.mark.parametrize("owners", [False, True])
def test_a_page_is_read_by_an_index(migrated_file: Path, sort: str, owners: bool) -> None:
    compiled = listing(Shape(sort, owners, False, False)).on(sqlite_dialect())
    with sqlite3.connect(migrated_file) as connection:
        rows = connection.execute(
            f"EXPLAIN QUERY PLAN {compiled.sql}", [None] * len(compiled.names)
        ).fetchall()
    steps = [row[3] for row in rows]
    assert not [step for step in steps if step.startswith("SCAN collection")], steps
    if not owners:  # an owner has few collections, which are sorted
        assert not [step for step in steps if "TEMP B-TREE" in step], steps
