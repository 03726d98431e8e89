"""The settings of one's own account: profile, password, sessions, access tokens, appearance."""

from __future__ import annotations

from typing import Any

from hubstead import accounts
from hubstead.accounts import require_personal
from hubstead.errors import HubError, InvalidInput, SignInFailed
from hubstead.http import Response
from hubstead.ids import now_ms
from hubstead.pages.forms import Form, FormError, read_form, see_other
from hubstead.pages.render import THEME_COOKIE, THEMES, page, theme_of
from hubstead.wire import Request, set_cookie

_YEAR_S = 365 * 86_400
_DAY_MS = 86_400_000
#: How long a new token lasts: the value of the form, in days, and its name.
LIFETIMES = (("", "No expiry"), ("30", "30 days"), ("90", "90 days"), ("365", "1 year"))
#: The pages of these settings: the end of the address, its name, and its icon.
TABS = (
    ("profile", "Profile", "user"),
    ("account", "Account", "gear"),
    ("authentication", "Sessions", "shield"),
    ("tokens", "Access tokens", "key"),
    ("appearance", "Appearance", "sun"),
)


def _page(request: Request, name: str, form: Form | None = None, **facts: Any) -> Response:
    """Render one page of the settings; the status is that of the form."""
    form = form or Form()
    return page(
        request,
        f"settings_{name}.html",
        status=form.status,
        tabs=TABS,
        tab=name.partition("_")[0],
        form=form,
        saved=request.query.one("saved") or "",
        **facts,
    )


async def index(request: Request) -> Response:
    """Lead to the first page of the settings."""
    return see_other(request, "/settings/profile")


async def profile(request: Request) -> Response:
    """Show the form of the caller's profile."""
    own = await accounts.load_account(request.hub.db, request.actor.pk)
    says = await accounts.load_profile(request.hub.db, own.pk)
    return _page(request, "profile", Form({"fullname": own.fullname, "details": says.details}))


async def save_profile(request: Request) -> Response:
    """Change the caller's profile."""
    require_personal(request.actor)
    form = await read_form(request)
    try:
        await accounts.change_profile(
            request.hub.db,
            request.actor.pk,
            fullname=form.text("fullname"),
            details=form.text("details"),
        )
    except HubError as error:
        return _page(request, "profile", form.refused(error))
    return see_other(request, "/settings/profile?saved=1")


async def account(request: Request) -> Response:
    """Show the form that changes the caller's password."""
    return _page(request, "account")


async def change_password(request: Request) -> Response:
    """Change the caller's password, and end their other sessions."""
    form = await read_form(request)
    try:
        if form.secret("new") != form.secret("again"):
            raise FormError(field="again", reason="The two passwords differ")
        address = str((request.scope.get("client") or ("",))[0])
        await request.hub.sign_in.change_password(
            request.actor, form.secret("old"), form.secret("new"), address
        )
    except HubError as error:
        form.refused(error, {SignInFailed: "old", InvalidInput: "new"})
        if "old" in form.errors:
            form.errors["old"] = "This is not your password"
        return _page(request, "account", form)
    return see_other(request, "/settings/account?saved=1")


async def sessions(request: Request) -> Response:
    """List the caller's sign-ins in browsers."""
    rows = await accounts.list_browser_sessions(request.hub.db, request.actor.pk)
    return _page(request, "authentication", sessions=rows, own_pk=request.actor.session_pk)


async def end_sessions(request: Request) -> Response:
    """End one of the caller's sessions, or all but the one in use."""
    require_personal(request.actor)
    form = await read_form(request)
    if session_id := form.text("id"):
        await accounts.end_browser_session(request.hub.db, request.actor, session_id)
    else:
        actor = request.actor
        await request.hub.db.write(accounts.end_browser_sessions, actor.pk, but=actor.session_pk)
    return see_other(request, "/settings/authentication?saved=1")


async def tokens(request: Request) -> Response:
    """List the caller's access tokens, without their secrets."""
    rows = await accounts.list_tokens(request.hub.db, request.actor.name)
    shown = [row for row in rows if row.kind == "access"]
    return _page(request, "tokens", tokens=shown[::-1], now=now_ms())


async def token_form(request: Request) -> Response:
    """Show the form that makes an access token; ``?tokenType=`` is its role."""
    role = "read" if request.query.one("tokenType") == "read" else "write"
    return _page(request, "tokens_new", Form({"role": role}), lifetimes=LIFETIMES)


async def add_token(request: Request) -> Response:
    """Make an access token of the caller and show its secret, this once."""
    require_personal(request.actor)
    form = await read_form(request)
    try:
        name = form.text("name")
        if not name or len(name) > 100:
            raise FormError(field="name", reason="A name has 1 to 100 characters")
        days = form.text("days")
        if days not in dict(LIFETIMES):
            raise FormError(field="days", reason="Choose one of these")
        secret = await request.hub.db.write(
            accounts.add_token,
            request.actor.pk,
            name=name,
            role=form.text("role"),
            expires_ms=now_ms() + int(days) * _DAY_MS if days else None,
            limit=request.hub.settings.accounts.max_tokens,
        )
    except HubError as error:
        form.refused(error, {InvalidInput: "role"})
        return _page(request, "tokens_new", form, lifetimes=LIFETIMES)
    return page(
        request,
        "token_made.html",
        headers={"cache-control": "no-store"},
        holds_secret=True,
        name=name,
        secret=secret,
    )


async def revoke_token(request: Request) -> Response:
    """Revoke one of the caller's access tokens."""
    require_personal(request.actor)
    form = await read_form(request)
    await request.hub.db.write(accounts.revoke_own_token, request.actor, form.text("id"))
    return see_other(request, "/settings/tokens?saved=1")


async def appearance(request: Request) -> Response:
    """Show the choice of a theme."""
    return _page(request, "appearance", Form({"theme": theme_of(request.scope)}))


async def set_appearance(request: Request) -> Response:
    """Keep the choice of a theme in a cookie of this browser."""
    form = await read_form(request)
    theme = form.text("theme")
    is_pinned = theme in THEMES
    cookie = set_cookie(
        THEME_COOKIE,
        theme if is_pinned else "",
        request.public_url,
        lasts_s=_YEAR_S if is_pinned else 0,
    )
    return see_other(request, "/settings/appearance?saved=1", headers={"set-cookie": cookie})
