"""Sign-in, sign-out and ``whoami``."""

from __future__ import annotations

from hubstead.accounts import end_session, list_orgs_of, load_account
from hubstead.errors import LoginRequired
from hubstead.http import Response, json_response
from hubstead.wire import Request
from hubstead.wire.hub_api import shapes
from hubstead.wire.hub_api.shapes import iso


async def login(request: Request) -> Response:
    """Sign in with a password; the answer's token is a session (releases up to 0.7)."""
    body = await request.json(shapes.Login)
    address = str((request.scope.get("client") or ("",))[0])
    token = await request.hub.sign_in.open_session(body.username, body.password, address)
    return json_response(shapes.Token(token))


async def logout(request: Request) -> Response:
    """End the session whose token this request carries."""
    await end_session(request.hub.db, request.actor)
    return json_response({})


async def whoami_v1(request: Request) -> Response:
    """Describe the caller, for releases up to 0.0.13."""
    orgs = await list_orgs_of(request.hub.db, request.actor.pk)
    return json_response(shapes.WhoamiV1(request.actor.name, [org.name for org in orgs]))


async def whoami(request: Request) -> Response:
    """Describe the caller, their organizations and their token."""
    if not request.actor.signed_in:
        raise LoginRequired()
    account = await load_account(request.hub.db, request.actor.pk)
    orgs = await list_orgs_of(request.hub.db, request.actor.pk)
    url = request.public_url
    return json_response(
        shapes.Whoami(
            type="user",
            id=account.id,
            name=account.name,
            fullname=account.fullname or account.name,
            email=account.email or "",
            emailVerified=bool(account.email),
            avatarUrl=f"{url}/favicon.ico",
            isPro=False,
            canPay=False,
            orgs=[
                shapes.OrgOfUser(
                    type="org",
                    id=org.id,
                    name=org.name,
                    fullname=org.fullname or org.name,
                    avatarUrl=f"{url}/favicon.ico",
                    roleInOrg=org.role,
                )
                for org in orgs
            ],
            auth=_auth(request),
        )
    )


def _auth(request: Request) -> shapes.Auth:
    actor = request.actor
    if not actor.token_pk:
        return shapes.Auth(type="password")
    token = shapes.AccessToken(
        displayName=actor.token_name, role=actor.token_role, createdAt=iso(actor.token_created_ms)
    )
    return shapes.Auth(type="access_token", accessToken=token)
