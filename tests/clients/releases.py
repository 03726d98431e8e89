"""Which releases of the clients are run, what runs them, and what each is known not to do."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

#: What unlocks the releases beyond the three that every test run tries.
ALL = os.environ.get("HUBSTEAD_TEST_CLIENTS") == "all"


@dataclass(frozen=True)
class Release:
    """A release of huggingface_hub.

    Attributes:
        version: As the package index has it.
        scenario: The script in ``scenarios/`` that runs inside its environment.
        everyday: Whether every test run tries it.
        gaps: Steps that this release cannot do against any hub but the public one, and why.
    """

    version: str
    scenario: str
    everyday: bool = False
    gaps: dict[str, str] = field(default_factory=dict)


RELEASES = [
    Release("0.0.13", "password.py"),
    Release("0.0.17", "password.py", everyday=True),
    Release("0.1.2", "password.py"),
    Release("0.2.1", "password.py", everyday=True),
    Release("0.5.1", "endpoint.py"),
    Release("0.8.1", "endpoint.py"),
    Release("0.10.1", "endpoint.py"),
    Release("0.11.1", "endpoint.py"),
    Release("0.14.1", "endpoint.py"),
    Release("0.17.3", "endpoint.py"),
    Release("0.20.3", "endpoint.py"),
    Release("0.23.5", "endpoint.py"),
    Release("0.26.5", "endpoint.py"),
    Release("0.30.2", "endpoint.py"),
    Release("0.36.2", "endpoint.py", everyday=True),
    Release("1.0.1", "endpoint.py"),
    Release("1.10.2", "endpoint.py"),
    Release("1.20.1", "endpoint.py"),
    Release("1.33.0", "endpoint.py"),
    Release("2.0.0", "endpoint.py"),
    Release("2.4.0", "endpoint.py"),
]
