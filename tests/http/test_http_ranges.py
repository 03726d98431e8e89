"""Ranges and conditions are parsed, files are named in headers."""

from __future__ import annotations

import contextlib
import re
import urllib.parse
from email.message import Message
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubstead.errors import PreconditionFailed, RangeNotSatisfiable
from hubstead.http import Span, content_disposition, parse_range
from hubstead.http.ranges import MOST_RANGES, http_date, parse_ranges, select

sizes = st.integers(0, 10**13)


@given(sizes, st.integers(0, 10**13), st.integers(0, 10**13))
def test_a_range_equals_a_slice(size: int, first: int, length: Any) -> None:
    header = f"bytes={first}-{first + length}"
    if first >= size:
        with pytest.raises(RangeNotSatisfiable):
            parse_range(header, size)
    else:
        assert parse_range(header, size) == Span(first, min(size, first + length + 1) - first)


@given(st.integers(1, 10**13), st.integers(1, 10**13))
def test_a_suffix_is_the_end_of_the_file(size: int, suffix: Any) -> None:
    span = parse_range(f"bytes=-{suffix}", size)
    assert span == Span(max(0, size - suffix), min(size, suffix))


@given(st.text(), sizes)
def test_any_text_is_parsed_without_a_fault(text: str, size: int) -> None:
    for header in (text, "bytes=" + text):
        with contextlib.suppress(RangeNotSatisfiable):
            span = parse_range(header, size)
            assert span is None or (span.count > 0 and span.start + span.count <= size)


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=2, max_size=5))
def test_several_ranges_are_accepted_in_their_order_unless_they_overlap(pairs: Any) -> None:
    header = "bytes=" + ", ".join(f"{first}-{first + more}" for first, more in pairs)
    wanted = [range(first, first + more + 1) for first, more in pairs]
    numbers = [number for one in wanted for number in one]
    if len(numbers) > len(set(numbers)):
        with pytest.raises(RangeNotSatisfiable):
            parse_ranges(header, 1000)
    else:
        ranges = parse_ranges(header, 1000)
        assert [range(span.start, span.start + span.count) for span in ranges] == wanted
    with pytest.raises(RangeNotSatisfiable):
        parse_range(header, 1000)


def test_of_several_ranges_those_behind_the_end_are_left_out() -> None:
    assert parse_ranges("bytes=20-30, 0-1, 8-", 10) == [Span(0, 2), Span(8, 2)]
    assert parse_ranges("bytes=0-1,20-30", 10) == [Span(0, 2)]
    with pytest.raises(RangeNotSatisfiable):
        parse_ranges("bytes=20-30,40-", 10)


@pytest.mark.parametrize(("count", "fits"), [(MOST_RANGES, True), (MOST_RANGES + 1, False)])
def test_the_number_of_ranges_is_limited(count: int, fits: bool) -> None:
    header = "bytes=" + ",".join(f"{2 * n}-{2 * n}" for n in range(count))
    if fits:
        assert len(parse_ranges(header, 1000)) == count
    else:
        with pytest.raises(RangeNotSatisfiable):
            parse_ranges(header, 1000)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ("items=0-1", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=5-4", None),
        ("bytes=a-b", None),
        ("bytes 0-1", None),
        ("bytes=0-1,x", None),
        ("bytes=٣-٤", None),
        ("BYTES=0-0", Span(0, 1)),
        ("bytes=0-", Span(0, 10)),
        ("bytes= 2-3 ,", Span(2, 2)),
        ("bytes=9-" + "9" * 5000, Span(9, 1)),
    ],
)
def test_ranges_by_example(header: str, expected: Any) -> None:
    assert parse_range(header, 10) == expected


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=-0", "bytes=" + "9" * 5000 + "-"])
def test_a_range_outside_of_the_file_is_not_satisfiable(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as raised:
        parse_range(header, 10)
    assert raised.value.size == 10


@pytest.mark.parametrize("header", ["bytes=-5", "bytes=0-"])
def test_an_empty_file_has_no_satisfiable_range(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range(header, 0)


def status_of(method: str = "GET", **headers: Any) -> Any:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"method": method, "headers": pairs}
    return select(scope, size=10, etag="e", modified_s=1_000_000_000).status


def test_dates_serve_as_conditions() -> None:
    then, later = http_date(1_000_000_000), http_date(1_000_000_001)
    before = http_date(999_999_999)
    assert status_of(if_modified_since=then) == status_of(if_modified_since=later) == 304
    assert status_of(if_modified_since=before) == status_of(if_modified_since="junk") == 200
    assert status_of(if_modified_since=then, if_none_match='"other"') == 200
    assert status_of(range="bytes=0-1", if_range=then) == 206
    assert status_of(range="bytes=0-1", if_range=later) == 200
    assert status_of(range="bytes=0-1", if_range="Thu, 99 Foo") == 200


def test_conditions_are_evaluated_in_the_order_of_the_standard() -> None:
    then, before = http_date(1_000_000_000), http_date(999_999_999)
    for method in ("GET", "HEAD"):
        for stale in (
            {"if_match": '"other"'},
            {"if_match": 'W/"e"'},
            {"if_match": '""'},
            {"if_match": "other"},
            {"if_unmodified_since": before},
            {"if_match": '"other"', "if_none_match": '"e"'},
            {"if_match": '"other"', "if_unmodified_since": then},
            {"if_match": '"other"', "range": "bytes=99-"},
            {"if_unmodified_since": before, "if_none_match": '"e"', "range": "bytes=0-1"},
        ):
            with pytest.raises(PreconditionFailed):
                status_of(method, **stale)
        for tags in ('"e"', "*", '"x", "e"', 'W/"e", "e"', "e"):
            assert status_of(method, if_match=tags) == 200
            assert status_of(method, if_match=tags, if_none_match='"e"') == 304
            # The tag decides, and the date is ignored.
            assert status_of(method, if_match=tags, if_unmodified_since=before) == 200
        assert status_of(method, if_unmodified_since=then) == 200
        assert status_of(method, if_unmodified_since="junk") == 200
    assert status_of(if_match='"e"', range="bytes=0-1") == 206
    assert status_of(if_match='"e"', range="bytes=0-1", if_range='"other"') == 200
    for headers in ({"if_unmodified_since": before}, {"if_match": "*"}):
        assert status_without_tag(**headers) == 200
    with pytest.raises(PreconditionFailed):
        status_without_tag(if_match='""')


def status_without_tag(**headers: str) -> int:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"method": "GET", "headers": pairs}
    return select(scope, size=10, etag=None, modified_s=None).status


def test_only_get_has_ranges() -> None:
    assert status_of(range="bytes=0-1") == 206
    assert status_of("HEAD", range="bytes=0-1") == 200
    assert status_of("HEAD", range="bytes=99-") == 200


@given(st.text(min_size=1, max_size=100), st.booleans())
def test_any_name_is_encoded_into_exactly_one_parameter(name: str, inline: bool) -> None:
    value = content_disposition(name, inline=inline)
    assert value.isascii()
    assert value.isprintable()
    match = re.fullmatch(
        r"(inline|attachment); filename\*=UTF-8''([^;\s\"]*); filename=\"((?:[^\"\\]|\\.)*)\";",
        value,
    )
    assert match is not None
    assert match[1] == ("inline" if inline else "attachment")
    replaced = name.encode("utf-8", "replace").decode()
    assert urllib.parse.unquote(match[2]) == replaced


def test_a_plain_name_is_read_back_by_the_rules_of_mail() -> None:
    message = Message()
    message["Content-Disposition"] = content_disposition('we "ights".bin')
    assert message.get_filename() == 'we "ights".bin'


def test_the_form_equals_that_of_the_public_hub() -> None:
    assert content_disposition("config.json") == (
        "inline; filename*=UTF-8''config.json; filename=\"config.json\";"
    )
    assert content_disposition("é.bin", inline=False) == (
        "attachment; filename*=UTF-8''%C3%A9.bin; filename=\"_.bin\";"
    )
