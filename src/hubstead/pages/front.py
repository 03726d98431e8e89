"""The home page and the pages of accounts."""

from __future__ import annotations

from hubstead import accounts, discovery
from hubstead.accounts import ANONYMOUS, Actor
from hubstead.discovery import ResultItem
from hubstead.errors import AccountMoved, AccountNotFound, InvalidName, RepoNotFound
from hubstead.http import Response
from hubstead.ids import Kind, RepoId
from hubstead.pages import repository
from hubstead.pages.render import page
from hubstead.repos import RepoMoved, open_repo
from hubstead.wire import Request

NEWEST = 8
OF_ACCOUNT = 200


async def home(request: Request) -> Response:
    """Show how to connect a client, and the newest public repositories."""
    newest = await _lists(request, ANONYMOUS, limit=NEWEST, sort="createdAt")
    return page(request, "home.html", lists=newest)


async def account(request: Request) -> Response:
    """Show an account and the repositories of it that the caller may see."""
    name = request.text("account")
    try:
        legacy = RepoId.parse(Kind.MODEL, name)
        owner = await accounts.find_account(request.hub.db, name)
    except InvalidName:
        raise AccountNotFound(name=name) from None
    except AccountMoved:
        raise
    except AccountNotFound:
        return await _legacy_model(request, legacy)
    lists = await _lists(
        request, request.actor, author=owner.name, limit=OF_ACCOUNT, sort="lastModified"
    )
    return page(request, "account.html", account=owner, lists=lists, most=OF_ACCOUNT)


async def _legacy_model(request: Request, repo_id: RepoId) -> Response:
    try:
        request.repo = await open_repo(request.hub.db, request.actor, repo_id)
    except (RepoNotFound, RepoMoved):
        raise AccountNotFound(name=repo_id.name) from None
    return await repository.home(request)


async def _lists(
    request: Request, actor: Actor, *, limit: int, sort: str, author: str | None = None
) -> list[tuple[Kind, tuple[ResultItem, ...]]]:
    """Return the matching repositories by kind, without the kinds that have none."""
    lists = []
    for kind in Kind:
        query = discovery.RepoQuery(kind=kind, author=author, sort=sort, limit=limit)
        items = (await discovery.search_repos(request.hub.db, actor, query)).items
        if items:
            lists.append((kind, items))
    return lists
