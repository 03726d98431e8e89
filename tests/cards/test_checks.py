"""Checks of cards: errors for what would break a page or a client, warnings for the rest."""

from __future__ import annotations

import pytest

from hubstead.cards import LICENSES, Validation, validate_card
from hubstead.ids import Kind


def check(front_matter: str, kind: Kind = Kind.MODEL) -> Validation:
    return validate_card(f"---\n{front_matter}\n---\n# Title\n", kind)


GOOD = """language: [en, fr, zh-Hant, "no", multilingual]
license: apache-2.0
tags: [a, b]
datasets: [squad, acme/own]
metrics: accuracy
base_model: acme/bert
pipeline_tag: text-classification
library_name: transformers
widget: [{text: hello}]
something_else: {of: [mine]}
model-index:
- name: x
  results:
  - task: {type: text-classification, name: Text}
    dataset: {type: glue, name: GLUE, config: sst2}
    metrics: [{type: accuracy, value: 0.9, name: Accuracy}]"""


def test_a_good_card_of_each_kind_passes_silently() -> None:
    assert check(GOOD) == Validation()
    space = "title: T\nemoji: 👩🏽‍🚀\ncolorFrom: red\ncolorTo: gray\nsdk: gradio\nmodels: [a/b]"
    assert check(space, Kind.SPACE) == Validation()
    dataset = "license: [mit, cc-by-4.0]\nsize_categories: n<1K\nconfigs:\n- config_name: default"
    assert check(dataset, Kind.DATASET) == Validation()


@pytest.mark.parametrize("text", ["# Title", "", "---\n\n---\n# Title", "---\nlicense: mit\n"])
def test_a_card_without_metadata_is_a_warning(text: str) -> None:
    assert validate_card(text, Kind.MODEL) == Validation(
        warnings=("empty or missing yaml metadata in repo card",)
    )


@pytest.mark.parametrize(
    ("front_matter", "error"),
    [
        ("license: mitt", '"license" must be one of ['),
        ("license: 1", '"license" must be one of ['),
        ("license: [mit, {}]", '"license" must be one of ['),
        ("tags: a", '"tags" must be a list'),
        ("tags: [a, 1]", '"tags[1]" must be a string'),
        ("language: false", '"language" must be a string or a list of strings'),
        ("language: [[en]]", '"language" must be a string or a list of strings'),
        ("datasets: {a: b}", '"datasets" must be a string or a list of strings'),
        ("base_model: [a, [b]]", '"base_model" must be a string or a list of strings'),
        ("pipeline_tag: [a]", '"pipeline_tag" must be a string'),
        ("model-index: x", '"model-index" must be a list'),
        ("model-index: [x]", '"model-index[0]" must be a mapping'),
        ("model-index: [{results: []}]", '"model-index[0].name" is required'),
        ("model-index: [{name: x}]", '"model-index[0].results" is required'),
        ("model-index: [{name: x, results: [y]}]", '"model-index[0].results[0]" must be a mapping'),
        (
            "model-index: [{name: x, results: [{metrics: []}]}]",
            '"model-index[0].results[0].task" is required',
        ),
        (
            "model-index: [{name: x, results: [{task: {}, metrics: []}]}]",
            '"model-index[0].results[0].task.type" is required',
        ),
        (
            "model-index: [{name: x, results: [{task: {type: t}, dataset: {name: n}}]}]",
            '"model-index[0].results[0].dataset.type" is required',
        ),
        (
            "model-index: [{name: x, results: [{task: {type: t}, metrics: [{type: a}]}]}]",
            '"model-index[0].results[0].metrics[0].value" is required',
        ),
        ("a: 1\na: 2", "duplicated mapping key"),
        ("a: [", "(line "),
        ("- a", "must be a mapping"),
    ],
)
def test_an_error_has_its_reason_and_place(front_matter: str, error: str) -> None:
    validation = check(front_matter)
    assert any(error in text for text in validation.errors), validation


@pytest.mark.parametrize(
    ("front_matter", "error"),
    [
        ("sdk: flask", '"sdk" must be one of [gradio, docker, static, streamlit]'),
        ("sdk: [gradio]", '"sdk" must be one of'),
        ("sdk: gradio\ncolorFrom: beige", '"colorFrom" must be one of [red, '),
        ("sdk: gradio\ncolorTo: [red]", '"colorTo" must be one of [red, '),
        ("sdk: gradio\nemoji: abc", '"emoji" must be one emoji'),
        ("sdk: gradio\ntitle: [a]", '"title" must be a string'),
    ],
)
def test_a_space_is_checked_for_its_sdk_and_links(front_matter: str, error: str) -> None:
    validation = check(front_matter, Kind.SPACE)
    assert [error in text for text in validation.errors] == [True]


@pytest.mark.parametrize(
    ("front_matter", "error"),
    [
        ("task_ids: {a: b}", '"task_ids" must be a string or a list of strings'),
        ("configs: a", '"configs" must be a list'),
        ("configs: [a]", '"configs[0]" must be a mapping'),
        ("configs: [{data_files: a}]", '"configs[0].config_name" must be a string'),
        ("configs: [{config_name: a, data_files: 1}]", '"configs[0].data_files" must be'),
    ],
)
def test_a_dataset_is_checked_for_its_configs_and_splits(front_matter: str, error: str) -> None:
    validation = check(front_matter, Kind.DATASET)
    assert [error in text for text in validation.errors] == [True]


@pytest.mark.parametrize(
    ("front_matter", "kind", "warning"),
    [
        ("license: other", Kind.MODEL, '"license_name"'),
        ("language: klingon", Kind.MODEL, '"language" with value "klingon"'),
        ("pipeline_tag: mind-reading", Kind.MODEL, 'The pipeline tag "mind-reading" is not in'),
        ("task_categories: [x]", Kind.DATASET, 'The task_categories "x" is not in'),
        ("size_categories: huge", Kind.DATASET, 'The size_categories "huge" is not in'),
        ("title: x", Kind.SPACE, '"sdk" is missing'),
    ],
)
def test_a_harmless_fault_is_a_warning(front_matter: str, kind: Kind, warning: str) -> None:
    validation = check(front_matter, kind)
    assert validation.errors == ()
    assert [warning in text for text in validation.warnings] == [True]


def test_every_known_licence_passes() -> None:
    for name in LICENSES:
        assert check(f"license: {name}\nlicense_name: x").errors == ()


def test_findings_are_bounded() -> None:
    assert len(check(f"tags: [{'1,' * 5000}]").errors) == 100
