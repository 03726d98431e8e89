"""The shape of ``model-index``, as the Python client's ``model_index_to_eval_results`` reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def check_model_index(value: Any) -> Iterator[str]:
    """Yield errors of ``model-index`` with their paths: ``"model-index[0].name" is required``."""
    if not isinstance(value, list):
        yield '"model-index" must be a list'
        return
    for number, entry in enumerate(value):
        yield from _check_entry(f"model-index[{number}]", entry)


def _check_entry(path: str, entry: Any) -> Iterator[str]:
    if not isinstance(entry, dict):
        yield f'"{path}" must be a mapping'
        return
    yield from _string(f"{path}.name", entry.get("name"))
    results = entry.get("results")
    if results is None:
        yield f'"{path}.results" is required'
    elif not isinstance(results, list):
        yield f'"{path}.results" must be a list'
    else:
        for number, result in enumerate(results):
            yield from _check_result(f"{path}.results[{number}]", result)


def _check_result(path: str, result: Any) -> Iterator[str]:
    if not isinstance(result, dict):
        yield f'"{path}" must be a mapping'
        return
    yield from _fields(f"{path}.task", result.get("task"), ("type",))
    # Without a dataset, the card describes elsewhere what the metrics were measured on.
    if result.get("dataset") is not None:
        yield from _fields(f"{path}.dataset", result["dataset"], ("type", "name"))
    metrics = result.get("metrics")
    if metrics is None:
        yield f'"{path}.metrics" is required'
    elif not isinstance(metrics, list):
        yield f'"{path}.metrics" must be a list'
    else:
        for number, metric in enumerate(metrics):
            yield from _check_metric(f"{path}.metrics[{number}]", metric)


def _check_metric(path: str, metric: Any) -> Iterator[str]:
    yield from _fields(path, metric, ("type",))
    if isinstance(metric, dict) and "value" not in metric:
        yield f'"{path}.value" is required'


def _fields(path: str, value: Any, names: tuple[str, ...]) -> Iterator[str]:
    if value is None:
        yield f'"{path}" is required'
    elif not isinstance(value, dict):
        yield f'"{path}" must be a mapping'
    else:
        for name in names:
            yield from _string(f"{path}.{name}", value.get(name))


def _string(path: str, value: Any) -> Iterator[str]:
    if value is None:
        yield f'"{path}" is required'
    elif not isinstance(value, str | int | float):
        yield f'"{path}" must be a string'
