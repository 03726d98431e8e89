"""Validation of cards, with messages for the author of the card.

The Python client does not commit a card with errors (``POST /api/validate-yaml``), so errors are
only what would break something; other findings are warnings, and unknown keys are fine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from hubstead.cards.front_matter import Card, parse_card
from hubstead.cards.model_index import check_model_index
from hubstead.cards.vocabulary import COLORS, LANGUAGES, LICENSES, SDKS, TASKS
from hubstead.errors import InvalidCard
from hubstead.ids import Kind

MAX_FINDINGS = 100
_SIZES = frozenset(
    """n<1K 1K<n<10K 10K<n<100K 100K<n<1M 1M<n<10M 10M<n<100M 100M<n<1B 1B<n<10B 10B<n<100B
    100B<n<1T n>1T""".split()
)
_MODEL_WORD_KEYS = ("datasets", "metrics", "base_model")
_DATASET_WORD_KEYS = (
    "annotations_creators",
    "language_creators",
    "multilinguality",
    "size_categories",
    "source_datasets",
    "task_categories",
    "task_ids",
)
_SPACE_WORD_KEYS = ("models", "datasets")


class Validation(msgspec.Struct, frozen=True):
    """The findings about a card; without errors it may be committed."""

    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """The findings as the public Hub prints them to people, a line each."""
        return (
            *(f"- Error: {' '.join(text.split())}" for text in self.errors),
            *(f"- Warning: {' '.join(text.split())}" for text in self.warnings),
        )


class _Findings:
    def __init__(self) -> None:
        self.errors: list[str] = []
        self.warnings: list[str] = []

    def result(self) -> Validation:
        return Validation(tuple(self.errors[:MAX_FINDINGS]), tuple(self.warnings[:MAX_FINDINGS]))


def validate_card(text: str | bytes, kind: Kind) -> Validation:
    """Validate a README.md for a repository of ``kind``.

    Texts that clients' tests match (``"license" must be one of``) begin like the public Hub's.
    """
    findings = _Findings()
    try:
        card = parse_card(text)
    except InvalidCard as error:
        return Validation(errors=(str(error),))
    if card.data is None:
        return Validation(warnings=("empty or missing yaml metadata in repo card",))
    _check(card, kind, findings)
    return findings.result()


def _check(card: Card, kind: Kind, findings: _Findings) -> None:
    data = card.data or {}
    _check_license(data, findings)
    _check_language(data, findings)
    if data.get("tags") is not None:
        findings.errors += _list_of_strings("tags", data["tags"])
    if kind is Kind.DATASET:
        _check_dataset(data, findings)
    elif kind is Kind.SPACE:
        _check_space(data, findings)
    else:
        _check_model(data, findings)


def _check_license(data: dict[str, Any], findings: _Findings) -> None:
    license_ = data.get("license")
    if license_ is None:
        return
    for name in license_ if isinstance(license_, list) else [license_]:
        if not isinstance(name, str) or name not in LICENSES:
            findings.errors.append(f'"license" must be one of [{", ".join(sorted(LICENSES))}]')
            return
    if license_ == "other" and not (data.get("license_name") or data.get("license_link")):
        findings.warnings.append(
            '"license" is other: say which with "license_name", and where to read it '
            'with "license_link"'
        )


def _check_language(data: dict[str, Any], findings: _Findings) -> None:
    codes = data.get("language")
    if codes is None:
        return
    for code in codes if isinstance(codes, list) else [codes]:
        if not isinstance(code, str):
            findings.errors.append('"language" must be a string or a list of strings')
            return
        if not _known_language(code):
            findings.warnings.append(
                f'"language" with value {_shown(code)} is not known: use an ISO 639-1, 639-2 or '
                '639-3 code, or "multilingual" or "code"'
            )


def _known_language(code: str) -> bool:
    # Tags such as zh-Hant or pt_BR are codes too, and thousands of codes have three letters.
    return code in LANGUAGES or bool(re.fullmatch(r"[a-z]{2,3}[-_][A-Za-z]{2,8}|[a-z]{3}", code))


def _check_model(data: dict[str, Any], findings: _Findings) -> None:
    for key in _MODEL_WORD_KEYS:
        findings.errors += _string_or_strings(key, data.get(key))
    for key in ("pipeline_tag", "library_name"):
        if data.get(key) is not None and not isinstance(data[key], str):
            findings.errors.append(f'"{key}" must be a string')
    task = data.get("pipeline_tag")
    if isinstance(task, str) and task not in TASKS:
        findings.warnings.append(_unofficial("pipeline tag", task, TASKS))
    if data.get("model-index") is not None:
        findings.errors += check_model_index(data["model-index"])


def _check_dataset(data: dict[str, Any], findings: _Findings) -> None:
    for key in _DATASET_WORD_KEYS:
        findings.errors += _string_or_strings(key, data.get(key))
    for key, known in (("task_categories", TASKS), ("size_categories", _SIZES)):
        for word in _strings(data.get(key)):
            if word not in known:
                findings.warnings.append(_unofficial(key, word, known))
    if data.get("configs") is not None:
        findings.errors += _check_configs(data["configs"])


def _check_configs(configs: Any) -> Iterator[str]:
    """Check ``configs`` as ``MetadataConfigs`` of ``datasets`` parses it (utils/metadata.py)."""
    if not isinstance(configs, list):
        yield '"configs" must be a list'
        return
    for number, entry in enumerate(configs):
        if not isinstance(entry, dict):
            yield f'"configs[{number}]" must be a mapping'
        elif not isinstance(entry.get("config_name"), str):
            yield f'"configs[{number}].config_name" must be a string'
        elif not isinstance(entry.get("data_files"), str | list | dict | None):
            yield f'"configs[{number}].data_files" must be a string, a list or a mapping'


def _check_space(data: dict[str, Any], findings: _Findings) -> None:
    if data.get("sdk") is None:
        findings.warnings.append(f'"sdk" is missing: it must be one of [{", ".join(SDKS)}]')
    elif data["sdk"] not in SDKS:
        findings.errors.append(f'"sdk" must be one of [{", ".join(SDKS)}]')
    for key in ("colorFrom", "colorTo"):
        if data.get(key) is not None and data[key] not in COLORS:
            findings.errors.append(f'"{key}" must be one of [{", ".join(COLORS)}]')
    for key in ("title", "short_description", "app_file"):
        if isinstance(data.get(key), list | dict):
            findings.errors.append(f'"{key}" must be a string')
    emoji = data.get("emoji")
    if emoji is not None and not (isinstance(emoji, str) and _looks_like_emoji(emoji)):
        findings.errors.append('"emoji" must be one emoji')
    for key in _SPACE_WORD_KEYS:
        findings.errors += _string_or_strings(key, data.get(key))


def _looks_like_emoji(text: str) -> bool:
    # One emoji may be a sequence: a family, a flag, a skin colour. Keycaps begin with a digit.
    return 0 < len(text) <= 16 and any(ord(char) > 0xA8 for char in text)


def _string_or_strings(key: str, value: Any) -> list[str]:
    if value is None or isinstance(value, str):
        return []
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return []
    return [f'"{key}" must be a string or a list of strings']


def _list_of_strings(key: str, value: Any) -> list[str]:
    if not isinstance(value, list):
        return [f'"{key}" must be a list']
    wrong = (number for number, item in enumerate(value) if not isinstance(item, str))
    return [f'"{key}[{number}]" must be a string' for number in wrong]


def _strings(value: Any) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str):
            yield item


def _unofficial(what: str, word: str, known: Iterable[str]) -> str:
    return f"The {what} {_shown(word)} is not in the official list: {', '.join(sorted(known))}"


def _shown(text: str) -> str:
    return f'"{text}"' if len(text) <= 80 else f'"{text[:80]}…"'
