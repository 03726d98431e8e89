"""The front page and the pages of accounts."""

from __future__ import annotations

from hubstead import accounts, discovery
from hubstead.accounts import ANONYMOUS, Actor
from hubstead.discovery import ResultItem
from hubstead.errors import AccountMoved, AccountNotFound, InvalidName, RepoNotFound
from hubstead.http import Response
from hubstead.ids import GIT_KINDS, Kind, RepoId
from hubstead.pages import repository
from hubstead.pages.render import page
from hubstead.repos import RepoMoved, open_repo
from hubstead.wire import Request

FIRST = 6
RECENT = 12
OF_ACCOUNT = 200
SHOWN_ORGS = 12

ListsByKind = list[tuple[Kind, tuple[ResultItem, ...]]]


async def home(request: Request) -> Response:
    """Show what is new: to strangers also how to connect a client, to users what is theirs."""
    if request.actor.signed_in:
        return await _own_home(request)
    trending = await _lists(request, ANONYMOUS, limit=FIRST, sort="trendingScore")
    orgs = await accounts.list_accounts(request.hub.db, "org")
    needs_password = await accounts.first_user_waits(request.hub.db)
    return page(
        request,
        "home.html",
        lists=trending,
        orgs=orgs[:SHOWN_ORGS],
        more_orgs=len(orgs) > SHOWN_ORGS,
        needs_password=needs_password,
    )


async def _own_home(request: Request) -> Response:
    own = await _lists(
        request, request.actor, author=request.actor.name, limit=FIRST, sort="lastModified"
    )
    recent = await _lists(request, request.actor, limit=RECENT, sort="lastModified")
    orgs = await accounts.list_orgs_of(request.hub.db, request.actor.pk)
    return page(request, "own_home.html", own=own, lists=recent, orgs=orgs)


async def organizations(request: Request) -> Response:
    """List the organizations of the hub by name."""
    orgs = await accounts.list_accounts(request.hub.db, "org")
    word = (request.query.one("search") or "").casefold()
    shown = [org for org in orgs if word in org.name.casefold() or word in org.fullname.casefold()]
    shown.sort(key=lambda org: org.name.casefold())
    return page(request, "organizations.html", orgs=shown[:OF_ACCOUNT], search=word)


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
    db = request.hub.db
    org = await accounts.open_org(db, request.actor, owner.name) if owner.kind == "org" else None
    return page(
        request,
        "account.html",
        account=owner,
        org=org,
        members=await accounts.list_members(db, org) if org else [],
        orgs=[] if org else await accounts.list_orgs_of(db, owner.pk),
        profile=await accounts.load_profile(db, owner.pk),
        lists=lists,
        most=OF_ACCOUNT,
    )


async def _legacy_model(request: Request, repo_id: RepoId) -> Response:
    try:
        request.repo = await open_repo(request.hub.db, request.actor, repo_id)
    except (RepoNotFound, RepoMoved):
        raise AccountNotFound(name=repo_id.name) from None
    return await repository.home(request)


async def _lists(
    request: Request, actor: Actor, *, limit: int, sort: str, author: str | None = None
) -> ListsByKind:
    """Return the matching repositories by kind, without the kinds that have none."""
    lists = []
    for kind in GIT_KINDS:
        query = discovery.RepoQuery(kind=kind, author=author, sort=sort, limit=limit)
        items = (await discovery.search_repos(request.hub.db, actor, query)).items
        if items:
            lists.append((kind, items))
    return lists
