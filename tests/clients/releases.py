"""The releases of clients that are run, and the scenario of each."""

from __future__ import annotations

import os
from dataclasses import dataclass

#: The variable that selects all releases instead of the three of every test run.
ALL = os.environ.get("HUBSTEAD_TEST_CLIENTS") == "all"


@dataclass(frozen=True)
class Release:
    """A release of a client.

    Attributes:
        version: As in the package index.
        scenario: The script in ``scenarios/`` that runs in its environment.
        everyday: Whether every test run includes it.
    """

    version: str
    scenario: str
    everyday: bool = False

    @property
    def package(self) -> str:
        """The name of the client in its package index."""
        if self.scenario == JAVASCRIPT:
            return "@huggingface/hub"
        return "transformers" if self.scenario == PRETRAINED else "huggingface_hub"

    @property
    def for_node(self) -> bool:
        """Whether Node runs it; otherwise Python."""
        return self.scenario == JAVASCRIPT

    @property
    def by_name(self) -> bool:
        """Whether it reaches the hub by the public Hub's name, which it has built in."""
        numbers = tuple(int(part) for part in self.version.split("."))
        if self.scenario == PRETRAINED:
            return numbers < (4, 20)
        return self.scenario == REPOSITORY and numbers < _FOLLOWS_ENDPOINT

    @property
    def requirements(self) -> tuple[str, ...]:
        """The requirements of its environment, in pip's notation."""
        if self.for_node:
            return (f"{self.package}@{self.version}",)
        # The mixins render model cards from a template.
        more = _BESIDE.get(self.version, ("jinja2",))
        return (f"{self.package}=={self.version}", *more)

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


PASSWORD, ENDPOINT, JAVASCRIPT = "password.py", "endpoint.py", "javascript.mjs"
REPOSITORY, PRETRAINED = "repository.py", "pretrained.py"
#: The first release that follows HF_ENDPOINT.
_FOLLOWS_ENDPOINT = (0, 5, 0)

# transformers of 2021 pins tokenizers below 0.11, which have no wheel for Python 3.11; it falls
# back to its tokenizers in plain Python. `--no-deps` makes pip accept the missing dependency.
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

#: One release of each generation, for git and the command line.
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
