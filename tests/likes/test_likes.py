"""Likes as rows: their counts stay right, and their lists follow indexes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import update

from hubstead.accounts import delete_account
from hubstead.app import ACCOUNT_RELEASES
from hubstead.db import Database, indexed
from hubstead.errors import RepoNotFound
from hubstead.likes import (
    count_liked_repos,
    like_repo,
    list_liked_repos,
    list_likers,
    release_likes,
    unlike_repo,
    wrong_like_counts,
)
from hubstead.repos import load_details, remove_repo
from hubstead.repos.tables import repos
from tests.db.test_plans import sqlite_steps
from tests.db.test_registered import STATEMENTS
from tests.support.factories import a_repo, a_user


async def test_a_deleted_account_takes_its_likes_along(db: Database) -> None:
    anna, bert = await a_user(db, "anna"), await a_user(db, "bert")
    first, second = await a_repo(db, anna, "anna/first"), await a_repo(db, anna, "anna/second")
    for actor, repo in ((anna, first), (bert, first), (bert, second)):
        await like_repo(db, actor, repo)
    await delete_account(db, "bert", "user", ACCOUNT_RELEASES)
    assert [(await load_details(db, repo)).likes for repo in (first, second)] == [1, 0]
    assert await wrong_like_counts(db) == []


@pytest.mark.shape_matters
async def test_a_like_during_the_deletion_of_its_account_is_counted_or_not_there(
    db: Database,
) -> None:
    anna = await a_user(db, "anna")
    bert = await a_user(db, "bert")
    liked = [await a_repo(db, anna, f"anna/r{n}") for n in range(6)]
    for repo in liked[:3]:
        await like_repo(db, bert, repo)
    calls = [like_repo(db, bert, repo) for repo in liked]
    calls[3:3] = [unlike_repo(db, bert, repo) for repo in liked]
    deletion = delete_account(db, "bert", "user", ACCOUNT_RELEASES)
    results = await asyncio.gather(*calls, deletion, return_exceptions=True)
    assert results[-1] is None
    assert await wrong_like_counts(db) == []
    assert [(await load_details(db, repo)).likes for repo in liked] == [0] * 6


async def test_a_deleted_repository_takes_its_likes_along(db: Database) -> None:
    anna = await a_user(db, "anna")
    repo = await a_repo(db, anna)
    await like_repo(db, anna, repo)
    await db.write(remove_repo, repo)
    assert await list_liked_repos(db, anna, anna.pk, 9, None) == []
    assert await count_liked_repos(db, anna, anna.pk) == 0
    with pytest.raises(RepoNotFound):
        await like_repo(db, anna, repo)
    await db.write(release_likes, anna.pk)


async def test_a_wrong_count_is_named(db: Database) -> None:
    anna = await a_user(db, "anna")
    repo = await a_repo(db, anna)
    await like_repo(db, anna, repo)
    await db.execute(indexed(update(repos).values(likes=5)))
    (wrong,) = await wrong_like_counts(db)
    assert (wrong.repo_id, wrong.counted, wrong.likes) == (repo.id, 5, 1)
    assert [liker.name for liker in await list_likers(db, repo, 9, None)] == ["anna"]


@pytest.mark.parametrize(
    "name",
    [
        "hubstead.likes.likes._LIKERS",
        "hubstead.likes.likes._LIKED",
        "hubstead.accounts.followers._FOLLOWERS",
        "hubstead.accounts.followers._FOLLOWING",
    ],
)
def test_a_page_is_read_in_the_order_of_an_index(migrated_file: Path, name: str) -> None:
    steps = sqlite_steps(migrated_file, STATEMENTS[name])
    assert steps
    assert not [step for step in steps if step.startswith("SCAN") or "TEMP B-TREE" in step]
