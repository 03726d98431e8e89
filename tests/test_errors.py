"""Errors have fields with types, and say what happened with them."""

from __future__ import annotations

import dataclasses
import pickle
import string
from typing import Any

import pytest

import hubstead.app  # noqa: F401 - whoever defines an error has been imported
from hubstead.errors import HubError, InvalidCard, InvalidInput, RateLimited, every_error

EVERY = sorted(set(every_error()), key=lambda cls: cls.__name__)


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
def test_an_error_says_nothing_but_its_fields(cls: Any) -> None:
    template = cls.__doc__.strip().splitlines()[0]
    named = {name for _, name, _, _ in string.Formatter().parse(template) if name}
    declared = {field.name for field in dataclasses.fields(cls)}
    assert {name.partition(".")[0] for name in named} <= declared
    assert "args" not in declared  # this one is Python's


@pytest.mark.parametrize("fields", [{}, {"retry_after_seconds": 7}, {"retry_after_s": 7, "at": 1}])
def test_a_field_that_lacks_or_is_misspelt_is_noticed_where_the_error_is_raised(
    fields: dict[str, Any],
) -> None:
    with pytest.raises(TypeError):
        RateLimited(**fields)


def test_fields_have_names_only() -> None:
    with pytest.raises(TypeError):
        InvalidInput("it is wrong")  # type: ignore[call-arg]


def test_fields_are_inherited_and_may_be_left_out() -> None:
    error = InvalidCard(reason="x; y")
    assert (error.reason, error.faults) == ("x; y", ())
    assert str(error) == error.message == "Invalid metadata in README.md: x; y"
    assert repr(error) == "InvalidCard(reason='x; y', faults=())"


def test_an_error_goes_from_one_process_to_another_as_it_is() -> None:
    sent = InvalidCard(reason="x; y", faults=("x", "y"))
    sent.add_note("while reading README.md")
    came = pickle.loads(pickle.dumps(sent))
    assert type(came) is InvalidCard
    assert vars(came) == vars(sent)
    assert str(came) == str(sent)


def test_an_error_equals_only_itself() -> None:
    one, other = RateLimited(retry_after_s=7), RateLimited(retry_after_s=7)
    assert one != other
    assert len({one, other}) == 2


def test_even_the_base_of_all_errors_has_something_to_say() -> None:
    assert str(HubError()) == "Something went wrong."
