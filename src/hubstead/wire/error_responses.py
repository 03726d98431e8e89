"""Map errors to responses: status, ``X-Error-Code``, ``X-Error-Message``, body.

Clients choose their exception by these headers, not by the status (``hf_raise_for_status`` in
``huggingface_hub`` ``utils/_http.py``; protocol/hub-api.md 2.6). The table here serves every wire;
a wire whose clients read another form has its own renderer (``RENDERERS``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar, cast

import msgspec

from hubstead import errors
from hubstead.collections import CollectionExists, ItemExists
from hubstead.commits import PushRefused, RefInTheWay
from hubstead.db import Conflict
from hubstead.discussions import StatusConflict
from hubstead.errors import HubError
from hubstead.gitstore import ObjectMissing, PackRefused, RepoMissing
from hubstead.http import Response
from hubstead.registry import (
    BlobUnknown,
    DigestInvalid,
    ManifestRefused,
    ManifestUnknown,
    RegistryUnsupported,
    TagRefused,
)
from hubstead.repos import RepoExists, RepoMoved
from hubstead.wire.origins import ForeignPage, WrongHost
from hubstead.xet import ShardRefused, XorbRefused


@dataclass(frozen=True)
class ErrorResponse:
    """An error as the client reads it, before a wire renders it."""

    status: int
    message: str
    code: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)  # more for the JSON body
    headers: Mapping[str, str] = field(default_factory=dict)
    registry_code: str | None = None  # in place of the status's, on the registry wire


@dataclass(frozen=True)
class ErrorContext:
    """What an error response depends on beside the error: the client and its wire."""

    signed_in: bool
    agent: str
    public_url: str
    wire: str
    challenge: str = ""  # the ``WWW-Authenticate`` of a 401 that this wire needs


#: Class of error to status and code. A class that is not here has its parent's line.
STATUS: dict[type[HubError], tuple[int, str | None]] = {
    errors.InvalidInput: (400, None),
    errors.InvalidCandidate: (422, None),
    errors.InvalidCredentials: (401, None),
    errors.LoginRequired: (401, None),
    errors.SignInFailed: (401, None),
    errors.Forbidden: (403, None),
    errors.RepoNotFound: (404, "RepoNotFound"),
    errors.RepoDisabled: (403, None),
    errors.Gated: (403, "GatedRepo"),
    errors.RevisionNotFound: (404, "RevisionNotFound"),
    errors.EntryNotFound: (404, "EntryNotFound"),
    errors.AccountNotFound: (404, None),
    errors.NotFound: (404, None),
    errors.NameTaken: (409, None),
    errors.LastAdministrator: (409, None),
    errors.RefUpdateFailed: (409, None),
    errors.Unchanged: (409, None),
    errors.StaleParent: (412, None),
    errors.ConcurrentChange: (409, None),
    errors.TooLarge: (413, None),
    errors.LimitReached: (403, None),
    errors.BlobNotFound: (404, None),
    errors.BlobCorrupt: (400, None),
    errors.BlobDamaged: (503, None),
    errors.BlobMissing: (400, None),
    errors.RangeNotSatisfiable: (416, None),
    errors.PreconditionFailed: (412, None),
    errors.StorageFull: (507, None),
    errors.RateLimited: (429, None),
    errors.Overloaded: (503, None),
    errors.ShareExceeded: (429, None),
    errors.WorkTooLong: (503, None),
    errors.SlowClient: (408, None),
    errors.ClientGone: (400, None),
    errors.Unavailable: (503, None),
    errors.ReadOnly: (503, None),
    errors.NotBuilt: (501, None),
    BlobUnknown: (404, None),
    CollectionExists: (409, None),
    ItemExists: (409, None),
    Conflict: (409, None),
    DigestInvalid: (400, None),
    ManifestRefused: (400, None),
    ManifestUnknown: (404, None),
    RegistryUnsupported: (405, None),
    TagRefused: (400, None),
    RefInTheWay: (400, None),
    PackRefused: (400, None),
    PushRefused: (403, None),
    RepoExists: (409, None),
    RepoMissing: (503, None),
    RepoMoved: (307, None),
    StatusConflict: (409, None),
    ForeignPage: (403, None),
    ObjectMissing: (503, None),
    ShardRefused: (400, None),
    WrongHost: (421, None),
    XorbRefused: (400, None),
}

#: Codes of registries by error, where the status does not say it (protocol/runtimes.md 7.5).
REGISTRY_CODES: dict[type[HubError], str] = {
    BlobUnknown: "BLOB_UNKNOWN",
    DigestInvalid: "DIGEST_INVALID",
    ManifestRefused: "MANIFEST_INVALID",
    ManifestUnknown: "MANIFEST_UNKNOWN",
    TagRefused: "MANIFEST_UNKNOWN",
}
_REGISTRY_STATUS = {
    400: "NAME_INVALID",
    401: "UNAUTHORIZED",
    403: "DENIED",
    404: "NAME_UNKNOWN",
    405: "UNSUPPORTED",
    429: "TOOMANYREQUESTS",
}

# The texts that clients compare with, byte for byte (utils/_http.py, utils/_errors.py).
INVALID_TOKEN = "Invalid credentials in Authorization header"
INVALID_LOGIN = "Invalid username or password."
NO_REPO = "Repository not found"

#: When clients may repeat a write that a read-only hub refused.
READ_ONLY_RETRY_S = 60

_HUB_RELEASE = re.compile(r"\bhf_hub/(\d+)\.(\d+)")
#: The suites of earlier releases take all of the text apart for names, in the Hub's older words
#: (protocol/hub-api.md 3.3).
_NEW_WORDS_FOR_EXPAND = (1, 27)

E = TypeVar("E", bound=HubError)
_Refuse = Callable[[E, ErrorContext], ErrorResponse]


def error_response(error: HubError, context: ErrorContext) -> ErrorResponse:
    """Map an error to the response for this client."""
    status, code = next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)
    special = _SPECIAL.get(type(error))
    response = special(error, context) if special else ErrorResponse(status, error.message, code)
    if response.status == 401 and context.challenge:
        headers = {**response.headers, "www-authenticate": context.challenge}
        return replace(response, headers=headers)
    registry_code = REGISTRY_CODES.get(type(error))
    return replace(response, registry_code=registry_code) if registry_code else response


def _invalid_credentials(_error: HubError, _context: ErrorContext) -> ErrorResponse:
    return ErrorResponse(401, INVALID_TOKEN)


def _login_required(_error: HubError, _context: ErrorContext) -> ErrorResponse:
    return ErrorResponse(401, INVALID_LOGIN)


def _repo_not_found(error: errors.RepoNotFound, context: ErrorContext) -> ErrorResponse:
    if context.signed_in:
        return ErrorResponse(404, error.message, "RepoNotFound")
    # Release 0.8.1 turns any RepoNotFound into its own 404 (protocol/legacy-clients.md 2.5).
    code = None if "hf_hub/0.8.1" in context.agent else "RepoNotFound"
    return ErrorResponse(401, INVALID_LOGIN if code is None else NO_REPO, code)


def _gated(error: errors.Gated, context: ErrorContext) -> ErrorResponse:
    repo = error.repo
    if not context.signed_in:
        text = f"Access to {repo} is restricted. You must have access to it and be authenticated"
        return ErrorResponse(401, f"{text} to access it. Please log in.", "GatedRepo")
    text = f"Access to {repo} is restricted and you are not in the authorized list."
    return ErrorResponse(403, f"{text} Ask its owners for access.", "GatedRepo")


def _entry_not_found(error: errors.EntryNotFound, _context: ErrorContext) -> ErrorResponse:
    return ErrorResponse(404, error.message, "EntryNotFound")


def _repo_exists(error: RepoExists, context: ErrorContext) -> ErrorResponse:
    url = f"{context.public_url}/{error.repo_id.web_path}"
    return ErrorResponse(409, error.message, facts={"url": url})


def _collection_exists(
    error: CollectionExists | ItemExists, _context: ErrorContext
) -> ErrorResponse:
    return ErrorResponse(409, error.message, facts={"slug": error.slug})


def _unknown_property(error: errors.UnknownProperty, context: ErrorContext) -> ErrorResponse:
    release = _HUB_RELEASE.search(context.agent)
    if release and (int(release[1]), int(release[2])) < _NEW_WORDS_FOR_EXPAND:
        return ErrorResponse(400, error.message)
    quoted = "|".join(f'"{name}"' for name in error.names)
    return ErrorResponse(400, f"Invalid option: expected one of {quoted}")


def _unchanged(error: errors.Unchanged, _context: ErrorContext) -> ErrorResponse:
    return ErrorResponse(409, error.message, facts={"url": error.url})


def _invalid_card(error: errors.InvalidCard, _context: ErrorContext) -> ErrorResponse:
    faults = error.faults or (error.message,)
    facts = {"errors": [{"message": fault} for fault in faults], "warnings": []}
    return ErrorResponse(400, error.message, facts=facts)


def _range(error: errors.RangeNotSatisfiable, _context: ErrorContext) -> ErrorResponse:
    headers = {"content-range": f"bytes */{error.size}"}
    return ErrorResponse(416, error.message, headers=headers)


def _rate_limited(
    error: errors.RateLimited | errors.ShareExceeded, _context: ErrorContext
) -> ErrorResponse:
    wait = error.retry_after_s
    headers = {"retry-after": str(wait), "ratelimit": f'"pages";r=0;t={wait}'}
    return ErrorResponse(429, error.message, headers=headers)


def _unavailable(error: HubError, _context: ErrorContext) -> ErrorResponse:
    return ErrorResponse(503, error.message, headers={"retry-after": "1"})


def _read_only(error: HubError, _context: ErrorContext) -> ErrorResponse:
    return ErrorResponse(503, error.message, headers={"retry-after": str(READ_ONLY_RETRY_S)})


def _overloaded(
    error: errors.Overloaded | errors.WorkTooLong, _context: ErrorContext
) -> ErrorResponse:
    return ErrorResponse(503, error.message, headers={"retry-after": str(error.retry_after_s)})


def _missing_bytes(_error: HubError, _context: ErrorContext) -> ErrorResponse:
    return ErrorResponse(503, "A file that should be here is missing: tell the hub's administrator")


def _special(cls: type[E], refuse: _Refuse[E]) -> tuple[type[HubError], _Refuse[HubError]]:
    # Lookups use the exact class of an error, so every function gets the type it declares.
    return cls, cast("_Refuse[HubError]", refuse)


_SPECIAL = dict(
    (
        _special(errors.InvalidCredentials, _invalid_credentials),
        _special(errors.LoginRequired, _login_required),
        _special(errors.RepoNotFound, _repo_not_found),
        _special(errors.Gated, _gated),
        _special(errors.EntryNotFound, _entry_not_found),
        _special(RepoExists, _repo_exists),
        _special(CollectionExists, _collection_exists),
        _special(ItemExists, _collection_exists),
        _special(errors.Unchanged, _unchanged),
        _special(errors.UnknownProperty, _unknown_property),
        _special(errors.InvalidCard, _invalid_card),
        _special(errors.RangeNotSatisfiable, _range),
        _special(errors.RateLimited, _rate_limited),
        _special(errors.ShareExceeded, _rate_limited),
        _special(errors.Overloaded, _overloaded),
        _special(errors.WorkTooLong, _overloaded),
        _special(errors.Unavailable, _unavailable),
        _special(errors.ReadOnly, _read_only),
        _special(errors.StorageReadOnly, _unavailable),
        _special(RepoMissing, _missing_bytes),
        _special(ObjectMissing, _missing_bytes),
    )
)


def render_hub(response: ErrorResponse, request_id: str) -> Response:
    """Render for clients of the Hub API: both headers, and JSON with ``error``."""
    del request_id
    headers = {"x-error-message": one_line(response.message), **response.headers}
    if response.code is not None:
        headers["x-error-code"] = response.code
    body = msgspec.json.encode({"error": response.message, **response.facts})
    return Response(
        body,
        status=response.status,
        media_type="application/json; charset=utf-8",
        headers=headers,
    )


def render_lfs(response: ErrorResponse, request_id: str) -> Response:
    """Render for git-lfs: ``message`` in its own JSON, and a challenge on 401.

    Python clients call the same addresses, so the Hub's headers go along.
    """
    rendered = render_hub(response, request_id)
    rendered.body = msgspec.json.encode(
        {
            "message": response.message,
            "error": response.message,
            "request_id": request_id,
            **response.facts,
        }
    )
    rendered.headers["content-type"] = "application/vnd.git-lfs+json"
    _challenge(rendered)
    return rendered


def render_git(response: ErrorResponse, request_id: str) -> Response:
    """Render for git, which shows ``text/plain`` to its user as ``remote: …``."""
    rendered = render_hub(response, request_id)
    rendered.body = f"{response.message}\n".encode()
    rendered.headers["content-type"] = "text/plain; charset=utf-8"
    _challenge(rendered)
    return rendered


def render_xet(response: ErrorResponse, request_id: str) -> Response:
    """Render for clients of the Xet store.

    They log the status and the id of the request; only people with other tools read the reason.
    They try again after 5xx but never after 409, which here is only ever bad luck in a race.
    """
    rendered = render_hub(response, request_id)
    rendered.status = 503 if response.status == 409 else response.status
    rendered.body = f"{response.message}\n".encode()
    rendered.headers["content-type"] = "text/plain; charset=utf-8"
    return rendered


def render_registry(response: ErrorResponse, request_id: str) -> Response:
    """Render for clients of registries: a list of errors; Hub clients read ``error`` as ever."""
    rendered = render_hub(response, request_id)
    code = response.registry_code or _REGISTRY_STATUS.get(response.status, "UNKNOWN")
    error = {"code": code, "message": response.message, "detail": {}}
    rendered.body = msgspec.json.encode({"errors": [error], "error": response.message})
    rendered.headers["docker-distribution-api-version"] = "registry/2.0"
    return rendered


def _challenge(rendered: Response) -> None:
    if rendered.status == 401:
        # git and git-lfs send credentials only after a challenge.
        rendered.headers["www-authenticate"] = 'Basic realm="Hubstead", charset="UTF-8"'


#: The renderer of each wire.
RENDERERS: dict[str, Callable[[ErrorResponse, str], Response]] = {
    "hub_api": render_hub,
    "lfs": render_lfs,
    "git": render_git,
    "xet": render_xet,
    "registry": render_registry,
    "pages": render_hub,  # for clients that are no browsers
}


def one_line(text: str) -> str:
    """Return ``text`` as a header may carry it: printable ASCII, one line, not too long."""
    line = " ".join(text.split())
    shown = (char if " " <= char <= "~" else ascii(char)[1:-1] for char in line)
    return "".join(shown)[:1000]
