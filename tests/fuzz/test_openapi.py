"""Requests that the served OpenAPI document allows never cause a fault."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import openapi
from schemathesis.core import NotSet

from hubstead.app import routes
from hubstead.wire.hub_api.openapi import document
from tests.fuzz.examples import examples
from tests.support.http import Response
from tests.support.hub import ThreadHub
from tests.support.person import Person

DOCUMENT = document(routes(), "http://hub")
SCHEMA = openapi.from_dict(DOCUMENT)
OPERATIONS = {
    f"{method.upper()} {path}": SCHEMA[path][method.upper()]
    for path, methods in DOCUMENT["paths"].items()
    for method in methods
}
#: Query parameters, which the document leaves open.
NAMES = (
    "author blobs cardData config create_pr cursor datasets dataset direction download expand "
    "expand[] filter formatted full gated id include_prs library limit linked models organization "
    "p pipeline_tag recursive rewriteHistory search securityStatus skip sort tags type"
).split()
VALUES = st.one_of(
    st.sampled_from("0 1 -1 true false None id siblings lastModified model x=y , % 1e3".split()),
    st.integers().map(str),
    st.text(max_size=8),
    st.binary(max_size=6),
)
QUERIES = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=3)


@dataclass(frozen=True)
class FuzzedRepo:
    """A repository for the examples, and its owner."""

    owner: Person
    names: dict[str, str]

    def renewed(self) -> None:
        """Create the repository again if an example has deleted or renamed it."""
        self.owner.repo("bert", exist_ok=True)


@pytest.fixture(scope="module")
def sample(live_hub: ThreadHub) -> Iterator[FuzzedRepo]:
    anna = live_hub.user("anna")
    known = {"namespace": anna.name, "name": "bert", "kinds": "models", "any_kind": "models"}
    known |= {"rev": "main", "rest": "main", "branch": "main", "spec": "main..main"}
    yield FuzzedRepo(anna, known)
    assert live_hub.call("GET", "/readyz").status == 200


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_request_of_the_document_causes_a_fault(sample: FuzzedRepo, operation: str) -> None:
    strategy = OPERATIONS[operation].as_strategy()
    sample.renewed()

    @examples(3, share=0.05)
    @given(case=strategy, known=st.booleans(), signed=st.booleans(), query=QUERIES)
    def holds(case: Any, known: bool, signed: bool, query: list[tuple[str, Any]]) -> None:
        if known:
            for name in case.path_parameters.keys() & sample.names.keys():
                case.path_parameters[name] = sample.names[name]
        target = f"{case.formatted_path}?{urlencode(query, errors='replace')}"
        response = sample.owner.hub.call(
            case.method,
            target,
            _body(case.body),
            token=sample.owner.token if signed else "",
            **({"Content-Type": "application/json"} if case.body is not None else {}),
        )
        _check(response, target)

    holds()


def _body(body: Any) -> bytes | None:
    return None if isinstance(body, NotSet) else json.dumps(body).encode()


def _check(response: Response, target: str) -> None:
    assert response.status < 500 or response.status == 501, (target, response)
    assert response.headers["x-request-id"]
    if response.status >= 400:
        assert response.message, (target, response)
        if response.body and response.headers["content-type"].startswith("application/json"):
            assert response.json["error"], (target, response)
    else:
        assert response.code is None
