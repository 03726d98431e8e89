"""Which releases of the clients are run, and what runs them."""

from __future__ import annotations

import os
from dataclasses import dataclass

#: What unlocks the releases beyond the three that every test run tries.
ALL = os.environ.get("HUBSTEAD_TEST_CLIENTS") == "all"


@dataclass(frozen=True)
class Release:
    """A release of a client.

    Attributes:
        version: As the package index has it.
        scenario: The script in ``scenarios/`` that runs inside its environment.
        everyday: Whether every test run tries it.
    """

    version: str
    scenario: str
    everyday: bool = False

    @property
    def for_node(self) -> bool:
        """Whether it is @huggingface/hub; the others are huggingface_hub."""
        return self.scenario.endswith(".mjs")

    def __str__(self) -> str:
        return f"{'@huggingface/hub' if self.for_node else 'huggingface_hub'} {self.version}"


PASSWORD, ENDPOINT, JAVASCRIPT = "password.py", "endpoint.py", "javascript.mjs"

RELEASES = [
    Release("0.0.13", PASSWORD),
    Release("0.0.17", PASSWORD, everyday=True),
    Release("0.1.2", PASSWORD),
    Release("0.2.1", PASSWORD, everyday=True),
    Release("0.5.1", ENDPOINT),
    Release("0.8.1", ENDPOINT),
    Release("0.10.1", ENDPOINT),
    Release("0.11.1", ENDPOINT),
    Release("0.14.1", ENDPOINT),
    Release("0.17.3", ENDPOINT),
    Release("0.20.3", ENDPOINT),
    Release("0.23.5", ENDPOINT),
    Release("0.26.5", ENDPOINT),
    Release("0.30.2", ENDPOINT),
    Release("0.36.2", ENDPOINT, everyday=True),
    Release("1.0.1", ENDPOINT),
    Release("1.10.2", ENDPOINT),
    Release("1.20.1", ENDPOINT),
    Release("1.33.0", ENDPOINT),
    Release("2.0.0", ENDPOINT),
    Release("2.4.0", ENDPOINT),
    Release("0.21.0", JAVASCRIPT),
    Release("1.1.2", JAVASCRIPT),
    Release("2.17.5", JAVASCRIPT),
]
