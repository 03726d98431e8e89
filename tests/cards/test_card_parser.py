"""The parser of README.md reads any content, or refuses it with a reason."""

from __future__ import annotations

import json
from contextlib import suppress

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hubstead.cards import parse_card, read_config, split_card, validate_card
from hubstead.errors import InvalidCard
from hubstead.ids import GIT_KINDS, Kind


def data(front_matter: str) -> object:
    return parse_card(f"---\n{front_matter}\n---\nbody").data


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("---\na: 1\n---\n# Hi\n", ("a: 1", "# Hi\n")),
        ("\ufeff---\r\na: 1\r\n---\r\n# Hi", ("a: 1", "# Hi")),
        ("\n\n---  \na: 1\nb: 2\n---\t", ("a: 1\nb: 2", "")),
        ("---\n---\nrest", ("", "rest")),
        ("---\na: 1\n", (None, "---\na: 1\n")),
        ("# Hi\n---\na: 1\n---\n", (None, "# Hi\n---\na: 1\n---\n")),
        ("----\na: 1\n---\n", (None, "----\na: 1\n---\n")),
        ("---\na: 1\n ---\n", (None, "---\na: 1\n ---\n")),
        (b"---\na: \xff\n---\n", ("a: \ufffd", "")),
        ("", (None, "")),
    ],
)
def test_the_front_matter_is_between_two_lines_of_dashes(
    text: str | bytes, parts: tuple[str | None, str]
) -> None:
    assert split_card(text) == parts


@pytest.mark.parametrize(
    "word", ["no", "No", "yes", "on", "OFF", "2020-13-45", "2020-02-30T25:00:00", "1:30", "1:2:3.5"]
)
def test_a_word_that_only_yaml_1_1_takes_for_another_type_is_a_text(word: str) -> None:
    assert data(f"a: {word}\nb: [{word}, x]\n{word}: key") == {
        "a": word,
        "b": [word, "x"],
        word: "key",
    }
    assert validate_card(f"---\nextra: {word}\n---\n", Kind.MODEL).errors == ()


def test_norwegian_is_a_language() -> None:
    for front_matter in ("language: no", "language: [en, no]", "language:\n- no\n"):
        checked = validate_card(f"---\n{front_matter}\n---\n", Kind.MODEL)
        assert (checked.errors, checked.warnings) == ((), ())


def test_values_are_representable_in_json() -> None:
    assert data(
        "date: 2020-01-02\nwhen: 2020-01-02T03:04:05Z\nnan: .nan\ninf: -.inf\n1: one\n"
        "true: True\nnull: ~\nbig: 99999999999999999999\nbin: !!binary aGk=\nset: !!set {a, b}\n"
        "text: 'x'\nno: \"no\""
    ) == {
        "date": "2020-01-02",
        "when": "2020-01-02T03:04:05+00:00",
        "nan": None,
        "inf": None,
        "1": "one",
        "true": True,
        "null": None,
        "big": 1e20,
        "bin": "aGk=",
        "set": {"a": None, "b": None},
        "text": "x",
        "no": "no",
    }


def test_aliases_and_merges_are_expanded() -> None:
    assert data("a: &a {x: 1, y: 2}\nb: *a\nc:\n  <<: *a\n  y: 3\nd: {<<: [*a, {z: 4}]}") == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 2},
        "c": {"x": 1, "y": 3},
        "d": {"x": 1, "y": 2, "z": 4},
    }


@pytest.mark.parametrize(
    ("front_matter", "reason"),
    [
        ("a: 1\nb: 2\na: 3", "duplicated mapping key 'a' (line 4)"),
        ("a: 1\n1: 2\n'1': 3", "duplicated mapping key '1' (line 4)"),
        ("a: [1, 2", "(line 3)"),
        ("a: *nobody", "unidentified alias 'nobody' (line 2)"),
        ("a: &a [*a]", "unidentified alias 'a'"),
        ("a: !!python/object/apply:os.system [ls]", "unknown tag"),
        ("a: !mine x", "unknown tag !<!mine>"),
        ("a: !!timestamp 2020-13-45", "'2020-13-45' is not a timestamp (line 2)"),
        ("a: !!int x", "'x' is not a int"),
        ("a: !!float ''", "is not a float"),
        ("a: !!bool perhaps", "is not a bool"),
        ("a: 1\n--- b\n", "one YAML document"),
        ("- a\n- b", "must be a mapping"),
        ("just words", "must be a mapping"),
        ("a: \0", "Invalid metadata in README.md"),
        ("a: " + "[" * 100 + "]" * 100, "nested too deeply"),
        ("a: x" + "x" * (1 << 20), "longer than"),
    ],
)
def test_invalid_yaml_is_refused_with_its_reason(front_matter: str, reason: str) -> None:
    with pytest.raises(InvalidCard) as refused:
        data(front_matter)
    assert reason in str(refused.value)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("front_matter", ["", "# only a comment", "{}", "~"])
def test_an_empty_front_matter_is_no_card(front_matter: str) -> None:
    assert parse_card(f"---\n{front_matter}\n---\n").data is None


_LAUGHS = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))
BOMBS = {
    "aliases": f"a0: &a0 lol\n{_LAUGHS}",
    "merges": "a0: &a0 {k: v}\n"
    + "\n".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 30)),
    "long aliases": f"a: &a {'x' * 500_000}\nb: [{'*a,' * 100_000}]",
    "lists in lists": "a: " + "[" * 500_000,
    "mappings in mappings": "a: " + "{a: " * 200_000,
    "questions": "? " * 500_000,
    "dashes": "- " * 500_000,
    "base sixty": "a: " + ":".join(["59"] * 300_000),
    "base sixty fractions": "a: " + ":".join(["59"] * 300_000) + ".5",
    "digits": "a: " + "9" * 1_000_000,
    "bits": "a: 0b" + "1" * 1_000_000,
    "many values": "a: [" + "b," * 500_000 + "]",
    "many keys": "\n".join(f"k{n}: 1" for n in range(90_000)),
    "staircase": "\n".join(" " * n + "a:" for n in range(1400)),
    "anchors": "a: [" + "&a b," * 200_000 + "]",
}


NUMBERS = {"base sixty", "base sixty fractions", "digits", "bits"}


def _bomb(name: str) -> str:
    text = f"---\n{BOMBS[name]}\n---\n"[: 1 << 20]
    return text + "\n---\n"


@pytest.mark.parametrize("name", sorted(BOMBS.keys() - NUMBERS - {"many keys"}))
def test_a_yaml_bomb_is_refused_before_it_expands(name: str) -> None:
    with pytest.raises(InvalidCard, match=r"too many values|nested too deeply"):
        parse_card(_bomb(name))


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_a_long_number_is_a_text_since_its_parsing_takes_quadratic_time(
    name: str,
) -> None:
    data = parse_card(_bomb(name)).data
    assert isinstance(data, dict)
    assert data["a"] == BOMBS[name].removeprefix("a: ")


def test_a_card_with_many_keys_is_read() -> None:
    data = parse_card(_bomb("many keys")).data
    assert isinstance(data, dict)
    assert len(data) > 80_000


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for text in (content, b"---\n" + content + b"\n---\n", b"---\na: " + content + b"\n---\n"):
        for kind in GIT_KINDS:
            validate_card(text, kind)
        with suppress(InvalidCard):  # and no other error
            msgspec.json.encode(parse_card(text).data)


_WORDS = st.lists(
    st.sampled_from(
        ["a", "b: ", "- ", "? ", "\n", "\n  ", "&a ", "*a", "<<: ", "[", "]", "{", "}", ", ", "'",
         '"', "!!int ", "!!set ", "!x ", "1", "0x", "1:2", "2020-01-01", "~", "#", "| ", "> ",
         ".inf", "%", "@", "=", "\t", "--- ", "...", "\\ud800", "!!binary ", "no"]
    ),
    max_size=40,
).map("".join)  # fmt: skip


@given(_WORDS)
def test_any_yaml_like_text_is_read_or_refused(front_matter: str) -> None:
    for kind in GIT_KINDS:
        validate_card(f"---\n{front_matter}\n---\n", kind)
    with suppress(InvalidCard):
        msgspec.json.encode(data(front_matter))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.text(), _JSON, min_size=1))
def test_written_yaml_is_read_back_unchanged(value: dict[str, object]) -> None:
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text = yaml.dump(value, Dumper=dumper, allow_unicode=True)
    assert data(text) == value


@pytest.mark.parametrize(
    ("text", "config"),
    [
        ('{"a": NaN, "b": Infinity}', {"a": None, "b": None}),
        ('{"a": 123456789012345678901234567890}', {"a": 1.2345678901234568e29}),
        ('{"a": ' + "9" * 5000 + "}", {"a": None}),
        ('{"a": "\\ud800"}', None),
        ("[" * 100_000, None),
        ('{"a": ' * 100_000, None),
        ("[1]", None),
        (b"\xff", None),
        (b"", None),
        ('{"a": "' + "x" * (1 << 20) + '"}', None),
    ],
)
def test_a_config_is_read_if_it_is_json(text: str | bytes, config: object) -> None:
    assert read_config(text) == config


@given(_JSON)
def test_a_config_is_an_object_or_none(value: object) -> None:
    expected = value if isinstance(value, dict) else None
    config = read_config(json.dumps(value))
    assert config == expected
    msgspec.json.encode(config)
