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
    def package(self) -> str:
        """What the package index calls the client."""
        if self.scenario == JAVASCRIPT:
            return "@huggingface/hub"
        return "transformers" if self.scenario == PRETRAINED else "huggingface_hub"

    @property
    def for_node(self) -> bool:
        """Whether Node runs it; Python does the others."""
        return self.scenario == JAVASCRIPT

    @property
    def by_name(self) -> bool:
        """Whether it is led to the hub by the public Hub's name, which it has built in."""
        numbers = tuple(int(part) for part in self.version.split("."))
        if self.scenario == PRETRAINED:
            return numbers < (4, 20)
        return self.scenario == REPOSITORY and numbers < _FOLLOWS_ENDPOINT

    @property
    def requirements(self) -> tuple[str, ...]:
        """What its environment is made of, as pip names it."""
        if self.for_node:
            return (f"{self.package}@{self.version}",)
        # The mixins write model cards from a template.
        more = _BESIDE.get(self.version, ("jinja2",))
        return (f"{self.package}=={self.version}", *more)

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


PASSWORD, ENDPOINT, JAVASCRIPT = "password.py", "endpoint.py", "javascript.mjs"
REPOSITORY, PRETRAINED = "repository.py", "pretrained.py"
#: The first release that follows HF_ENDPOINT.
_FOLLOWS_ENDPOINT = (0, 5, 0)

# transformers of 2021 pins tokenizers below 0.11, which have no wheel for Python 3.11; without
# them its tokenizers in plain Python do. `--no-deps`, so that pip takes that for an answer.
_BESIDE = {
    "4.12.5": (
        "--no-deps",
        *("huggingface_hub==0.2.1", "numpy<2", "requests", "urllib3", "idna", "certifi"),
        *("charset-normalizer", "filelock", "pyyaml", "regex", "tqdm", "packaging"),
        *("typing-extensions", "sacremoses", "click", "joblib", "six"),
    ),
    "4.30.2": ("huggingface_hub==0.15.1", "numpy<2", "jinja2"),
    "5.23.0": ("huggingface_hub==2.4.0", "jinja2"),
}

#: Those that have been on the command line and in git's own hands, one of each generation.
_BY_GIT = (
    *("0.0.1", "0.0.8", "0.0.13", "0.0.17", "0.1.2", "0.2.1", "0.4.0", "0.5.1", "0.8.1"),
    *("0.10.1", "0.11.1", "0.14.1", "0.17.3", "0.20.3", "0.26.5", "0.30.2", "0.36.2", "2.4.0"),
)
_BY_GIT_EVERYDAY = ("0.0.17", "0.2.1", "0.36.2")

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
    *(Release(version, REPOSITORY, version in _BY_GIT_EVERYDAY) for version in _BY_GIT),
    Release("4.12.5", PRETRAINED),
    Release("4.30.2", PRETRAINED),
    Release("5.23.0", PRETRAINED),
]
