"""Every error has its line in the table, and is told so that nothing breaks."""

from __future__ import annotations

from typing import get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hubstead.app  # noqa: F401 - whoever defines an error has been imported
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
    RepoId: RepoId(Kind.MODEL, "anna", "bert"),
}
SOMEBODY = ErrorContext(signed_in=True, agent="", public_url="https://hub", wire="hub_api")
NOBODY = ErrorContext(signed_in=False, agent="", public_url="https://hub", wire="hub_api")


def an(cls: type[HubError]) -> HubError:
    """Make an error with a value in each of its fields."""
    return cls(**{name: SAMPLES[kind] for name, kind in get_type_hints(cls).items()})


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
def test_every_error_has_a_status_of_its_own_or_of_its_parent(cls: type[HubError]) -> None:
    parents = [each for each in cls.__mro__ if each in STATUS]
    assert parents, f"{cls.__name__} is in no line of STATUS"
    for asker in (SOMEBODY, NOBODY):
        told = error_response(an(cls), asker)
        assert 300 <= told.status < 600
        assert told.message


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("wire", RENDERERS)
def test_every_error_is_dressed_by_every_wire(cls: type[HubError], wire: str) -> None:
    told = error_response(an(cls), SOMEBODY)
    answer = RENDERERS[wire](told, "Root=1")
    # Clients of the Xet store never come back after 409.
    assert answer.status == (503 if wire == "xet" and told.status == 409 else told.status)
    assert answer.headers["x-error-message"] == one_line(told.message)
    assert answer.headers.get("x-error-code") == told.code
    if wire == "hub_api":
        assert msgspec.json.decode(answer.body)["error"] == told.message
    if wire == "lfs":
        assert msgspec.json.decode(answer.body)["message"] == told.message
        assert answer.headers["content-type"] == "application/vnd.git-lfs+json"
    if wire == "xet":
        assert answer.body == f"{told.message}\n".encode()
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    challenged = "www-authenticate" in answer.headers
    assert challenged == (told.status == 401 and wire in ("lfs", "git"))


def test_only_the_codes_that_clients_know_are_sent() -> None:
    codes = {error_response(an(cls), asker).code for cls in EVERY for asker in (SOMEBODY, NOBODY)}
    assert codes - {None} == {"RepoNotFound", "RevisionNotFound", "EntryNotFound", "GatedRepo"}


@pytest.mark.parametrize(
    ("error", "asker", "status", "code", "message"),
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
def test_clients_are_told_in_the_words_they_compare(
    error: HubError, asker: ErrorContext, status: int, code: str | None, message: str
) -> None:
    assert error_response(error, asker) == ErrorResponse(status, message, code)


def test_release_0_8_1_sees_no_code_it_would_misread() -> None:
    old = ErrorContext(
        signed_in=False, agent="unknown/None; hf_hub/0.8.1", public_url="", wire="hub_api"
    )
    assert error_response(errors.RepoNotFound(), old).code is None


def test_refusals_that_have_more_to_say_say_it() -> None:
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
def test_no_text_breaks_a_header_or_a_body(text: str, wire: str) -> None:
    line = one_line(text)
    assert line.isascii()
    assert line.isprintable()
    assert len(line) <= 1000
    if all(ord(char) < 0xD800 or ord(char) > 0xDFFF for char in text):
        answer = RENDERERS[wire](ErrorResponse(400, text, facts={"errors": [text]}), "id")
        assert "\n" not in answer.headers["x-error-message"]
        assert isinstance(answer.body, bytes)
