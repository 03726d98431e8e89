"""The version check of registries, and what this view refuses."""

from __future__ import annotations

from hubstead.errors import InvalidCredentials
from hubstead.http import Response, json_response
from hubstead.registry import RegistryUnsupported
from hubstead.wire import Request

API_VERSION = {"docker-distribution-api-version": "registry/2.0"}


class KeysNotAccepted(InvalidCredentials):
    """The model is private or absent, and this hub takes no keys: use hf download with a token."""


async def check_version(request: Request) -> Response:
    """Tell that this is a registry."""
    del request
    return json_response({}, headers=API_VERSION)


async def refuse_token(request: Request) -> Response:
    """Refuse to exchange a key or password for a token of the registry."""
    del request
    raise KeysNotAccepted()


async def refuse_other(request: Request) -> Response:
    """Refuse what a read-only registry does not do."""
    del request
    raise RegistryUnsupported()
