"""Addresses of the Hub that this server does not serve yet: an honest 501 each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hubstead.errors import NotBuilt
from hubstead.wire.http import Answer, Call


def unbuilt(what: str) -> Callable[[Call], Awaitable[Answer]]:
    """Return a handler that says that ``what`` is not built."""

    async def refuse(call: Call) -> Answer:
        raise NotBuilt(what=what)

    refuse.__doc__ = f"Not built yet: {what}."
    return refuse


PULL_REQUESTS = unbuilt("discussions and pull requests")
COLLECTIONS = unbuilt("collections")
LIKES = unbuilt("likes")
WEBHOOKS = unbuilt("webhooks over the API: an administrator adds them by `hubstead webhook add`")
ACCESS_REQUESTS = unbuilt("requests for access to gated repositories")
SPACES = unbuilt("running spaces: this server keeps their repositories only")
BUCKETS = unbuilt("buckets")
JOBS = unbuilt("compute jobs")
SSH_KEYS = unbuilt("SSH keys: use HTTP with a token")
OAUTH = unbuilt("signing in through the browser: paste an access token instead")
SAFETENSORS = unbuilt("reading the headers of safetensors files: read them by ranged GET")
TREE_SIZE = unbuilt("the size of a folder")
SCAN = unbuilt("scanning files for malware")
RESOURCE_GROUPS = unbuilt("resource groups")
FOLLOWERS = unbuilt("likes, followers and other social pages of users")
ORGANIZATIONS = unbuilt("managing organizations over the API: use `hubstead org`")
ACCOUNT_SETTINGS = unbuilt("account settings over the API")
NOTIFICATIONS = unbuilt("notifications")
PAPERS = unbuilt("papers")
TRENDING = unbuilt("trending, full-text and quick search")
REVOKING = unbuilt("revoking tokens over the API: use `hubstead token revoke`")
