"""Hubs of both shapes for Xet clients, and the table of their outcomes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.clients.environments import ROOT
from tests.clients.hub import PopulatedHub, populated_hub
from tests.clients.xet.results import XetResults
from tests.support.services import running_postgres, running_s3

SHAPES = ("SQLite, files", "PostgreSQL, S3")
SETTINGS = {"log_level": "info", "sign_in_attempts": 1000, "log_format": "text"}


@contextlib.contextmanager
def hub_of_shape(
    shape: str, data: Path, settings: Mapping[str, object] | None = None, *, fixed_port: int = 0
) -> Iterator[PopulatedHub]:
    """Run a hub of this shape; with S3, clients fetch their bytes from it directly."""
    config = {**SETTINGS, **(settings or {})}
    if shape == SHAPES[0]:
        with populated_hub(data, config, fixed_port=fixed_port) as hub:
            yield hub
        return
    with running_postgres() as postgres, running_s3() as s3:
        company = {
            "database": postgres.fresh_database(),
            "blobs": s3.fresh_url(),
            "s3_endpoint": s3.options.endpoint,
            "s3_region": s3.options.region,
            "s3_access_key": s3.options.access_key,
            "s3_secret_key": s3.options.secret_key,
            "s3_direct_downloads": "true",
        }
        with populated_hub(data, {**config, **company}, fixed_port=fixed_port) as hub:
            yield hub


@pytest.fixture(scope="session", params=SHAPES)
def xet_hub(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PopulatedHub]:
    """A hub of one shape, for all clients."""
    with hub_of_shape(request.param, tmp_path_factory.mktemp("xet") / "data") as hub:
        yield hub


@pytest.fixture(scope="session")
def xet_results() -> Iterator[XetResults]:
    """The outcomes of all clients; written to the docs once every client was run."""
    results = XetResults()
    yield results
    if results.complete:
        (ROOT / "docs" / "compatibility-xet.md").write_text(results.page())
