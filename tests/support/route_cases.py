"""Requests generated from the route tables, so that tests cover a new route without naming it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from hubstead.ids import GIT_KINDS, Kind
from hubstead.wire import Route

#: Fields of request bodies that name a repository, with what they say of ``ORG/NAME``.
NAMING_FIELDS = {
    "name": "NAME",
    "organization": "ORG",
    "fromRepo": "ORG/NAME",
    "toRepo": "ORG/NAME-2",
    "repository": "ORG/NAME",
}
_WORDS = {
    "kinds": [kind.plural for kind in GIT_KINDS],
    "any_kind": [word for kind in GIT_KINDS for word in (kind.plural, kind.value)],
    "prefix": ["", *(kind.plural for kind in GIT_KINDS if kind is not Kind.MODEL)],
    "spaces": ["spaces"],
    "buckets": ["buckets"],
}


def addresses(route: Route, repo_id: str) -> Iterator[str]:
    """Yield the addresses of a route for a repository, one per kind that the pattern takes.

    Revisions, branches and paths do not exist, so the request changes nothing.
    """
    pattern = route.pattern.replace("{namespace}/{name}", repo_id).replace("{repo}", repo_id)
    capture = next((name for name in _WORDS if f"{{{name}}}" in pattern), None)
    for word in _WORDS[capture] if capture else [""]:
        path = pattern.replace(f"/{{{capture}}}", f"/{word}" if word else "")
        path = re.sub(r"\{\w+[+*]?\}", "none", path)
        # Without it, the address is a protocol of git that no hub serves.
        yield f"{path}?service=git-upload-pack" if path.endswith("/info/refs") else path


def naming_bodies(route: Route, org: str, name: str) -> Iterator[dict[str, Any]]:
    """Yield JSON bodies with which a route names a repository, one per kind; none if it cannot."""
    body = route.doc.body
    if body is None or not issubclass(body, msgspec.Struct):
        return
    fields = {field.name for field in msgspec.structs.fields(body)}
    values = {
        field: value.replace("ORG", org).replace("NAME", name)
        for field, value in NAMING_FIELDS.items()
        if field in fields
    }
    if values:
        for kind in Kind:
            yield values | ({"type": kind.value} if "type" in fields else {})
