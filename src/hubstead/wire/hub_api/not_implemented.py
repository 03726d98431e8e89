"""Handlers for addresses of the public Hub that this server does not implement: 501."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hubstead.errors import NotBuilt
from hubstead.http import Response
from hubstead.wire import Request


def not_implemented(what: str) -> Callable[[Request], Awaitable[Response]]:
    """Return a handler that refuses ``what`` with ``NotBuilt``."""

    async def refuse(request: Request) -> Response:
        raise NotBuilt(what=what)

    refuse.__doc__ = f"Not implemented: {what}."
    return refuse


WEBHOOKS = not_implemented(
    "webhooks over the API: an administrator adds them by `hubstead webhook add`"
)
ACCESS_REQUESTS = not_implemented("requests for access to gated repositories")
SPACES = not_implemented("running spaces: this server keeps their repositories only")
BUCKET_EVENTS = not_implemented("following the changes of a bucket: list it again")
JOBS = not_implemented("compute jobs")
SSH_KEYS = not_implemented("SSH keys: use HTTP with a token")
OAUTH = not_implemented("signing in through the browser: paste an access token instead")
SAFETENSORS = not_implemented("reading the headers of safetensors files: read them by ranged GET")
TREE_SIZE = not_implemented("the size of a folder")
RESOURCE_GROUPS = not_implemented("resource groups")
FOLLOWERS = not_implemented("avatars and other social pages of users")
ORGANIZATIONS = not_implemented("managing organizations over the API: use `hubstead org`")
ACCOUNT_SETTINGS = not_implemented("account settings over the API")
NOTIFICATIONS = not_implemented("notifications")
PAPERS = not_implemented("papers")
TRENDING = not_implemented("trending and full-text search")
REVOKING = not_implemented("revoking tokens over the API: use `hubstead token revoke`")
