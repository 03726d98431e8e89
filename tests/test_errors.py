"""Errors have fields with types, and texts about them."""

from __future__ import annotations

import dataclasses
import pickle
import string
from typing import Any

import pytest

import hubstead.app  # noqa: F401 - imports every module that defines an error
from hubstead.errors import HubError, InvalidCard, InvalidInput, RateLimited, every_error

EVERY = sorted(set(every_error()), key=lambda cls: cls.__name__)


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
def test_the_text_of_an_error_names_only_its_fields(cls: Any) -> None:
    template = cls.__doc__.strip().splitlines()[0]
    named = {name for _, name, _, _ in string.Formatter().parse(template) if name}
    declared = {field.name for field in dataclasses.fields(cls)}
    assert {name.partition(".")[0] for name in named} <= declared
    assert "args" not in declared  # Python's own attribute


@pytest.mark.parametrize("fields", [{}, {"retry_after_seconds": 7}, {"retry_after_s": 7, "at": 1}])
def test_a_missing_or_misspelt_field_is_an_error_at_the_raise(
    fields: dict[str, Any],
) -> None:
    with pytest.raises(TypeError):
        RateLimited(**fields)


def test_fields_are_passed_by_name_only() -> None:
    with pytest.raises(TypeError):
        InvalidInput("it is wrong")  # type: ignore[call-arg]


def test_fields_are_inherited_and_may_have_defaults() -> None:
    error = InvalidCard(reason="x; y")
    assert (error.reason, error.faults) == ("x; y", ())
    assert str(error) == error.message == "Invalid metadata in README.md: x; y"
    assert repr(error) == "InvalidCard(reason='x; y', faults=())"


def test_an_error_survives_pickling() -> None:
    sent = InvalidCard(reason="x; y", faults=("x", "y"))
    sent.add_note("while reading README.md")
    received = pickle.loads(pickle.dumps(sent))
    assert type(received) is InvalidCard
    assert vars(received) == vars(sent)
    assert str(received) == str(sent)


def test_an_error_equals_only_itself() -> None:
    one, other = RateLimited(retry_after_s=7), RateLimited(retry_after_s=7)
    assert one != other
    assert len({one, other}) == 2


def test_the_base_of_all_errors_has_a_text() -> None:
    assert str(HubError()) == "Something went wrong."
