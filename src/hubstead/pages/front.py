"""The first page, and those of accounts."""

from __future__ import annotations

from hubstead import accounts, discovery
from hubstead.accounts import ANONYMOUS, Actor
from hubstead.discovery import Item
from hubstead.errors import AccountNotFound, InvalidName, RepoNotFound
from hubstead.ids import Kind, RepoId
from hubstead.pages import repository
from hubstead.pages.rendering import page
from hubstead.repos import RepoMoved, open_repo
from hubstead.wire.http import Answer, Call

NEWEST = 8
OF_ACCOUNT = 200


async def home(call: Call) -> Answer:
    """Say what this is, how to connect to it, and what is new."""
    newest = await _lists(call, ANONYMOUS, limit=NEWEST, sort="createdAt")
    return page(call, "home.html", lists=newest)


async def account(call: Call) -> Answer:
    """Show an account with those of its repositories that the caller may see."""
    name = call.text("account")
    try:
        legacy = RepoId.parse(Kind.MODEL, name)
        found = await accounts.find_account(call.hub.db, name)
    except InvalidName:
        raise AccountNotFound(name=name) from None
    except AccountNotFound:
        return await _legacy_model(call, legacy)
    lists = await _lists(call, call.actor, author=found.name, limit=OF_ACCOUNT, sort="lastModified")
    return page(call, "account.html", account=found, lists=lists, most=OF_ACCOUNT)


async def _legacy_model(call: Call, repo_id: RepoId) -> Answer:
    try:
        call.repo = await open_repo(call.hub.db, call.actor, repo_id)
    except (RepoNotFound, RepoMoved):
        raise AccountNotFound(name=repo_id.name) from None
    return await repository.home(call)


async def _lists(
    call: Call, actor: Actor, *, limit: int, sort: str, author: str | None = None
) -> list[tuple[Kind, tuple[Item, ...]]]:
    """Return the repositories of each kind, kinds without any left out."""
    found = []
    for kind in Kind:
        query = discovery.Query(kind=kind, author=author, sort=sort, limit=limit)
        items = (await discovery.find(call.hub.db, actor, query)).items
        if items:
            found.append((kind, items))
    return found
