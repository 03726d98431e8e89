"""Bodies of the LFS API (git-lfs ``docs/api/batch.md``; protocol/hub-api.md 3.9)."""

from __future__ import annotations

from typing import Any

import msgspec

from hubstead.http import Response

MEDIA_TYPE = "application/vnd.git-lfs+json"
_encoder = msgspec.json.Encoder()


class RequestedObject(msgspec.Struct, frozen=True):
    """An object named in a batch or verify request."""

    oid: str
    size: int


class Ref(msgspec.Struct, frozen=True):
    """The branch that the client will push."""

    name: str = ""


class BatchRequest(msgspec.Struct, frozen=True):
    """The request body of ``POST …/objects/batch``."""

    operation: str
    objects: list[RequestedObject] = []
    transfers: list[str] | None = None  # None: basic
    hash_algo: str | None = None
    ref: Ref | None = None


class Action(msgspec.Struct, frozen=True, omit_defaults=True):
    """A URL to upload, download or verify. None fields are left out: clients reject null."""

    href: str
    header: dict[str, str] | None = None
    expires_in: int | None = None  # seconds


class ObjectError(msgspec.Struct, frozen=True):
    """Why the server rejects one object of a batch."""

    code: int
    message: str


class ObjectResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """One object; an upload response without ``actions`` means that the server has it."""

    oid: str
    size: int
    actions: dict[str, Action] | None = None
    error: ObjectError | None = None


class BatchResponse(msgspec.Struct, frozen=True):
    """The response body of ``POST …/objects/batch``."""

    transfer: str
    objects: list[ObjectResponse]
    hash_algo: str = "sha256"


class CompletedPart(msgspec.Struct, frozen=True, rename="camel"):
    """A part that the client sent, with its etag (git-lfs's transfer agent may have none)."""

    part_number: int
    etag: str | None = None


class Completion(msgspec.Struct, frozen=True):
    """The request body that completes an upload in parts."""

    parts: list[CompletedPart]
    oid: str | None = None


def lfs_response(content: Any, status: int = 200) -> Response:
    """Return a JSON response with the media type of git-lfs."""
    return Response(_encoder.encode(content), status=status, media_type=MEDIA_TYPE)


def lfs_error(message: str, status: int) -> Response:
    """Return an error response with a status that no ``HubError`` has."""
    response = lfs_response({"message": message, "error": message}, status)
    response.headers["x-error-message"] = message
    return response
