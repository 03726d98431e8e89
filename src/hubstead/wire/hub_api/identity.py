"""Who am I, signing in and out."""

from __future__ import annotations

from hubstead.accounts import account_by_pk, end_session, orgs_of
from hubstead.errors import LoginRequired
from hubstead.wire.http import Answer, Call, json_answer
from hubstead.wire.hub_api import shapes
from hubstead.wire.hub_api.shapes import iso


async def login(call: Call) -> Answer:
    """Sign in with a password; the answer's token is a session (releases up to 0.7)."""
    body = await call.json(shapes.Login)
    address = str((call.scope.get("client") or ("",))[0])
    token = await call.hub.sign_in.open_session(body.username, body.password, address)
    return json_answer(shapes.Token(token))


async def logout(call: Call) -> Answer:
    """End the session that this request came with."""
    await end_session(call.hub.db, call.actor)
    return json_answer({})


async def whoami_v1(call: Call) -> Answer:
    """Say who is asking, for releases up to 0.0.13."""
    orgs = await orgs_of(call.hub.db, call.actor.pk)
    return json_answer(shapes.WhoamiV1(call.actor.name, [org.name for org in orgs]))


async def whoami(call: Call) -> Answer:
    """Say who is asking, their organizations and what their token may do."""
    if not call.actor.signed_in:
        raise LoginRequired()
    account = await account_by_pk(call.hub.db, call.actor.pk)
    orgs = await orgs_of(call.hub.db, call.actor.pk)
    url = call.public_url
    return json_answer(
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
            auth=_auth(call),
        )
    )


def _auth(call: Call) -> shapes.Auth:
    actor = call.actor
    if not actor.token_pk:
        return shapes.Auth(type="password")
    token = shapes.AccessToken(
        displayName=actor.token_name, role=actor.token_role, createdAt=iso(actor.token_created_ms)
    )
    return shapes.Auth(type="access_token", accessToken=token)
