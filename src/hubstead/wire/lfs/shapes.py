"""Bodies of the LFS API (git-lfs ``docs/api/batch.md``; protocol/hub-api.md 3.9)."""

from __future__ import annotations

from typing import Any

import msgspec

from hubstead.http import Response

MEDIA_TYPE = "application/vnd.git-lfs+json"
_encoder = msgspec.json.Encoder()


class RequestedObject(msgspec.Struct, frozen=True):
    """An object that a client asks about."""

    oid: str
    size: int


class Ref(msgspec.Struct, frozen=True):
    """The branch that the objects are for."""

    name: str = ""


class BatchRequest(msgspec.Struct, frozen=True):
    """``POST …/objects/batch``."""

    operation: str
    objects: list[RequestedObject] = []
    transfers: list[str] | None = None  # None: basic
    hash_algo: str | None = None
    ref: Ref | None = None


class Action(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where to send or get the bytes. What is None is left out: clients take no null."""

    href: str
    header: dict[str, str] | None = None
    expires_in: int | None = None  # seconds


class ObjectError(msgspec.Struct, frozen=True):
    """Why nothing can be done with one object."""

    code: int
    message: str


class ObjectResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """One object; without ``actions`` it is here already."""

    oid: str
    size: int
    actions: dict[str, Action] | None = None
    error: ObjectError | None = None


class BatchResponse(msgspec.Struct, frozen=True):
    """The answer of ``POST …/objects/batch``."""

    transfer: str
    objects: list[ObjectResponse]
    hash_algo: str = "sha256"


class CompletedPart(msgspec.Struct, frozen=True, rename="camel"):
    """A part that a client has sent, with the tag it got for it (git's agent may have none)."""

    part_number: int
    etag: str | None = None


class Completion(msgspec.Struct, frozen=True):
    """What completes an upload in parts."""

    parts: list[CompletedPart]
    oid: str | None = None


def lfs_response(content: Any, status: int = 200) -> Response:
    """Answer with JSON under the media type of git-lfs."""
    return Response(_encoder.encode(content), status=status, media_type=MEDIA_TYPE)


def lfs_error(message: str, status: int) -> Response:
    """Refuse with a status that no error of ours stands for."""
    answer = lfs_response({"message": message, "error": message}, status)
    answer.headers["x-error-message"] = message
    return answer
