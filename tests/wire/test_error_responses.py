"""Every error has its row in the table, and a safe response."""

from __future__ import annotations

from typing import get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hubstead.app  # noqa: F401 - imports every module that defines an error
from hubstead import errors
from hubstead.errors import HubError, every_error
from hubstead.ids import Kind, RepoId
from hubstead.repos import RepoExists
from hubstead.wire.error_responses import (
    RENDERERS,
    STATUS,
    ErrorContext,
    ErrorResponse,
    error_response,
    one_line,
)

EVERY = sorted(set(every_error()), key=lambda cls: cls.__name__)
SAMPLES: dict[object, object] = {
    str: "x",
    int: 7,
    tuple[str, ...]: ("x",),
    tuple[errors.RefUpdateFailed, ...]: (),
    RepoId: RepoId(Kind.MODEL, "anna", "bert"),
    HubError: errors.Forbidden(reason="x"),
}
SOMEBODY = ErrorContext(signed_in=True, agent="", public_url="https://hub", wire="hub_api")
NOBODY = ErrorContext(signed_in=False, agent="", public_url="https://hub", wire="hub_api")


def an(cls: type[HubError]) -> HubError:
    """Create an error with a value in every field."""
    return cls(**{name: SAMPLES[kind] for name, kind in get_type_hints(cls).items()})


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
def test_every_error_has_its_own_status_or_that_of_its_parent(cls: type[HubError]) -> None:
    parents = [parent for parent in cls.__mro__ if parent in STATUS]
    assert parents, f"{cls.__name__} is in no line of STATUS"
    for context in (SOMEBODY, NOBODY):
        error = error_response(an(cls), context)
        assert 300 <= error.status < 600
        assert error.message


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("wire", RENDERERS)
def test_every_error_is_rendered_by_every_wire(cls: type[HubError], wire: str) -> None:
    error = error_response(an(cls), SOMEBODY)
    rendered = RENDERERS[wire](error, "Root=1")
    # Xet clients never retry after 409.
    assert rendered.status == (503 if wire == "xet" and error.status == 409 else error.status)
    assert rendered.headers["x-error-message"] == one_line(error.message)
    assert rendered.headers.get("x-error-code") == error.code
    if wire == "hub_api":
        assert msgspec.json.decode(rendered.body)["error"] == error.message
    if wire == "lfs":
        assert msgspec.json.decode(rendered.body)["message"] == error.message
        assert rendered.headers["content-type"] == "application/vnd.git-lfs+json"
    if wire == "xet":
        assert rendered.body == f"{error.message}\n".encode()
        assert rendered.headers["content-type"] == "text/plain; charset=utf-8"
    challenged = "www-authenticate" in rendered.headers
    assert challenged == (error.status == 401 and wire in ("lfs", "git"))


def test_only_codes_that_clients_know_are_sent() -> None:
    codes = {
        error_response(an(cls), context).code for cls in EVERY for context in (SOMEBODY, NOBODY)
    }
    assert codes - {None} == {"RepoNotFound", "RevisionNotFound", "EntryNotFound", "GatedRepo"}


@pytest.mark.parametrize(
    ("error", "context", "status", "code", "message"),
    [
        (
            errors.InvalidCredentials(),
            NOBODY,
            401,
            None,
            "Invalid credentials in Authorization header",
        ),
        (errors.LoginRequired(), NOBODY, 401, None, "Invalid username or password."),
        (errors.RepoNotFound(), NOBODY, 401, "RepoNotFound", "Repository not found"),
        (errors.RepoNotFound(), SOMEBODY, 404, "RepoNotFound", "Repository not found"),
        (
            errors.RepoDisabled(),
            SOMEBODY,
            403,
            None,
            "Access to this resource is disabled.",
        ),
        (
            errors.RevisionNotFound(revision="v9", repo="a/b"),
            SOMEBODY,
            404,
            "RevisionNotFound",
            "Invalid rev id: v9",
        ),
        (errors.EntryNotFound(), SOMEBODY, 404, "EntryNotFound", "Entry not found"),
    ],
)
def test_messages_are_those_that_clients_compare(
    error: HubError, context: ErrorContext, status: int, code: str | None, message: str
) -> None:
    assert error_response(error, context) == ErrorResponse(status, message, code)


def test_release_0_8_1_gets_no_code_that_it_would_misread() -> None:
    old = ErrorContext(
        signed_in=False, agent="unknown/None; hf_hub/0.8.1", public_url="", wire="hub_api"
    )
    assert error_response(errors.RepoNotFound(), old).code is None


def test_errors_with_details_include_them() -> None:
    taken = error_response(RepoExists(repo_id=RepoId(Kind.DATASET, "a", "b")), SOMEBODY)
    assert taken.facts["url"] == "https://hub/datasets/a/b"
    card = error_response(errors.InvalidCard(reason="x; y", faults=("x", "y")), SOMEBODY)
    assert card.facts["errors"] == [{"message": "x"}, {"message": "y"}]
    assert error_response(errors.RangeNotSatisfiable(size=5), SOMEBODY).headers == {
        "content-range": "bytes */5"
    }
    limited = error_response(errors.RateLimited(retry_after_s=7), SOMEBODY)
    assert limited.headers == {"retry-after": "7", "ratelimit": '"pages";r=0;t=7'}


@given(st.text(), st.sampled_from(sorted(RENDERERS)))
def test_any_text_fits_into_headers_and_bodies(text: str, wire: str) -> None:
    line = one_line(text)
    assert line.isascii()
    assert line.isprintable()
    assert len(line) <= 1000
    if all(ord(char) < 0xD800 or ord(char) > 0xDFFF for char in text):
        rendered = RENDERERS[wire](ErrorResponse(400, text, facts={"errors": [text]}), "id")
        assert "\n" not in rendered.headers["x-error-message"]
        assert isinstance(rendered.body, bytes)
