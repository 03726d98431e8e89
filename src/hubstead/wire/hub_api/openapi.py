"""Builds the OpenAPI document from the route table and its structs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec

from hubstead import __version__
from hubstead.repos import Right
from hubstead.wire import Access, Route
from hubstead.wire.hub_api.shapes import ErrorBody

_CAPTURE = re.compile(r"\{(\w+)[+*]?\}")
_REFS = "#/components/schemas/{name}"


def document(routes: Iterable[Route], public_url: str) -> dict[str, Any]:
    """Return the document as OpenAPI 3.1 for the server at ``public_url``."""
    return {**_document(tuple(routes)), "servers": [{"url": public_url}]}


@lru_cache(maxsize=2)
def _document(routes: tuple[Route, ...]) -> dict[str, Any]:
    shapes = [shape for route in routes for shape in (route.doc.body, route.doc.answer) if shape]
    schemas, components = msgspec.json.schema_components([*shapes, ErrorBody], ref_template=_REFS)
    by_shape = dict(zip(map(repr, [*shapes, ErrorBody]), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        for pattern, kinds in _written_out(route.pattern):
            path = _CAPTURE.sub(r"{\1}", pattern)
            operation = _operation(route, path, kinds, by_shape)
            paths.setdefault(path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hubstead",
            "version": __version__,
            "description": "The Hugging Face Hub for your own machines.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _written_out(pattern: str) -> list[tuple[str, str]]:
    """Write ``{repo}`` and ``{prefix}`` out as OpenAPI can say them."""
    pattern = pattern.replace("{repo}", "{namespace}/{name}").replace("{spaces}", "spaces")
    if "{prefix}" in pattern:
        return [(pattern.replace("{prefix}/", ""), ""), (pattern, "datasets spaces kernels")]
    return [(pattern, "models datasets spaces kernels")]


def _operation(route: Route, path: str, kinds: str, by_shape: dict[str, Any]) -> dict[str, Any]:
    problem = {"application/json": {"schema": by_shape[repr(ErrorBody)]}}
    answer = by_shape.get(repr(route.doc.answer), {}) if route.doc.answer else {}
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": f"{route.method.lower()} {path}",
        "parameters": [
            *[_parameter(name, kinds) for name in _CAPTURE.findall(path)],
            *[_query_parameter(name) for name in route.doc.query.split()],
        ],
        "responses": {
            "200": {
                "description": "Done.",
                "content": {route.doc.media_type: {"schema": answer}},
            },
            "default": {"description": "Refused, with the reason.", "content": problem},
        },
        "security": [] if route.access is Access.OPEN else [{}, {"token": []}],
    }
    if route.doc.body:
        schema = by_shape[repr(route.doc.body)]
        operation["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    needs = route.access.name if isinstance(route.access, Right) else route.access.value
    operation["description"] = f"Needs: {needs.lower().replace('_', ' ')}."
    return operation


def _parameter(name: str, kinds: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "minLength": 1}
    if name in ("kinds", "prefix", "any_kind"):
        schema["enum"] = kinds.split()
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": {"type": "string"}}
