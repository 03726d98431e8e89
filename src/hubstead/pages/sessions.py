"""Signing in and out in a browser."""

from __future__ import annotations

from hubstead.accounts import end_browser_session, first_user_waits
from hubstead.errors import HubError, InvalidCredentials, InvalidInput
from hubstead.http import Response
from hubstead.ids import FIRST_USER
from hubstead.pages.forms import Form, FormError, local_path, read_form, see_other
from hubstead.pages.render import page
from hubstead.wire import Request, session_cookie


async def login_form(request: Request) -> Response:
    """Show the form that signs in; ``?next=`` is the page to see afterwards."""
    target = local_path(request.query.one("next") or "/")
    if request.actor.signed_in:
        return see_other(request, target)
    return page(request, "login.html", form=Form({"next": target}))


async def login(request: Request) -> Response:
    """Sign in with name and password, and open a session in a cookie."""
    form = await read_form(request)
    target = form.values["next"] = local_path(form.text("next") or "/")
    try:
        return await _open(request, form.text("name"), form, target)
    except HubError as error:
        return page(request, "login.html", form=form.refused(error), status=form.status)


async def _open(request: Request, name: str, form: Form, target: str) -> Response:
    """Check the password of a form, open a session in a cookie, and go on to ``target``."""
    secret = await request.hub.sign_in.open_browser_session(
        name,
        form.secret("password"),
        address=str((request.scope.get("client") or ("",))[0]),
        agent=request.headers.get("user-agent") or "",
    )
    limits = request.hub.sign_in.session_limits
    lasts_s = limits.absolute_s if form.flag("stay") else None
    cookie = session_cookie(secret, request.public_url, lasts_s=lasts_s)
    return see_other(request, target, headers={"set-cookie": cookie, "cache-control": "no-store"})


async def setup_form(request: Request) -> Response:
    """Show the form that gives the first administrator a password."""
    if not await first_user_waits(request.hub.db):
        return see_other(request, "/login")
    return page(request, "setup.html", form=Form(), name=FIRST_USER)


async def setup(request: Request) -> Response:
    """Give the first administrator a password, for whoever has the token of the first start."""
    form = await read_form(request)
    try:
        if form.secret("password") != form.secret("again"):
            raise FormError(field="again", reason="The two passwords differ")
        await request.hub.sign_in.set_first_password(form.text("token"), form.secret("password"))
    except HubError as error:
        form.refused(error, {InvalidCredentials: "token", InvalidInput: "password"})
        return page(request, "setup.html", form=form, name=FIRST_USER, status=form.status)
    return await _open(request, FIRST_USER, form, "/")


async def logout(request: Request) -> Response:
    """End the session of this browser."""
    if request.actor.session_pk:
        await end_browser_session(request.hub.db, request.actor)
    cookie = session_cookie("", request.public_url, lasts_s=0)
    return see_other(request, "/", headers={"set-cookie": cookie})
