"""A hub in a process of its own, made by the command line as people make it, and its people."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.node import Node, running

ANNA, PASSWORD = "anna", "correct horse battery"
ORG = "acme"


@dataclass(frozen=True)
class RunningHub:
    """A hub that answers at ``url``; ``anna`` owns ``acme``, ``bo`` is a stranger."""

    node: Node
    tokens: dict[str, str]

    @property
    def url(self) -> str:
        return self.node.url

    def run(self, *command: str) -> Any:
        """Run ``hubstead …`` beside the server and return what it answers."""
        return _run(self.node, *command)


@contextlib.contextmanager
def running_hub(data: Path, **settings: object) -> Iterator[RunningHub]:
    """Start a hub on a free port of this machine, with its people, and stop it afterwards."""
    with running(data, **{name: str(value) for name, value in settings.items()}) as node:
        yield RunningHub(node, _people(node))


def _people(node: Node) -> dict[str, str]:
    # Clients of old read fullname and email as keys that must be there.
    about = ("--email", "anna@example.org", "--fullname", "Anna Example")
    _run(node, "user", "create", ANNA, "--password", PASSWORD, *about)
    _run(node, "user", "create", "bo", "--password", PASSWORD)
    _run(node, "org", "create", ORG, "--owner", ANNA)
    return {name: _run(node, "token", "create", name)["token"] for name in (ANNA, "bo")}


def _run(node: Node, *command: str) -> Any:
    return json.loads(node.run(*command, "--json").stdout)
