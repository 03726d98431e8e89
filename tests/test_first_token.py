"""The token of the first administrator: one for all nodes, and valid whenever it can be read."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hubstead.accounts import Actor, add_user, authenticate_token, list_accounts, revoke_token
from hubstead.app import FIRST_TOKEN, first_token, open_hub
from hubstead.settings import Settings
from hubstead.wire import Hub
from tests.support.hub import settings_of


def files(hub: Hub) -> list[str]:
    return sorted(path.name for path in hub.settings.data.glob("first-token*"))


async def test_two_nodes_that_start_at_once_on_an_empty_database_live_with_one_administrator(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    settings = settings_of("company", tmp_path / "a", request)
    others = [settings.replace(data=tmp_path / name) for name in ("b", "c")]

    async def start(of_node: Settings, ready: asyncio.Barrier, done: asyncio.Barrier) -> str | None:
        async with open_hub(of_node, make=True) as hub:
            await ready.wait()
            token = await first_token(hub)
            assert files(hub) == ([FIRST_TOKEN] if token else [])
            users = [user.name for user in await list_accounts(hub.db, "user")]
            assert users == ["admin"]
            if token:
                assert isinstance(await authenticate_token(hub.db, token), Actor)
            await done.wait()
            return token

    ready, done = asyncio.Barrier(3), asyncio.Barrier(3)
    tokens = await asyncio.gather(*(start(each, ready, done) for each in (settings, *others)))
    assert len([token for token in tokens if token]) == 1


async def test_a_crash_before_the_account_leaves_no_token_behind(tmp_path: Path) -> None:
    async with open_hub(Settings(data=tmp_path), make=True) as hub:
        (tmp_path / "first-token.new").write_text("hf_never")
        token = await first_token(hub)
        assert token not in (None, "hf_never")
        assert files(hub) == [FIRST_TOKEN]


async def test_a_crash_after_the_account_loses_no_token(tmp_path: Path) -> None:
    async with open_hub(Settings(data=tmp_path), make=True) as hub:
        token = await first_token(hub)
        (tmp_path / FIRST_TOKEN).rename(tmp_path / "first-token.new")
        assert await first_token(hub) == token
        assert files(hub) == [FIRST_TOKEN]


async def test_a_token_that_is_revoked_does_not_stay(tmp_path: Path) -> None:
    async with open_hub(Settings(data=tmp_path), make=True) as hub:
        token = await first_token(hub)
        assert token
        await hub.db.write(revoke_token, token)
        assert await first_token(hub) is None
        assert files(hub) == []


async def test_a_user_with_the_name_of_the_administrator_stops_no_start(tmp_path: Path) -> None:
    async with open_hub(Settings(data=tmp_path), make=True) as hub:
        await hub.db.write(add_user, "admin", is_first=True)
        assert await first_token(hub) is None
        assert files(hub) == []
