"""A user of a hub in a thread, and the programs that the user runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import HfApi

from tests.support.http import Response

if TYPE_CHECKING:
    from tests.support.hub import ThreadHub

#: The first lines of scripts for ``Person.python``.
_SCRIPT = """import sys
from huggingface_hub import CommitOperationCopy, HfApi, hf_hub_download, snapshot_download
api = HfApi()
args = sys.argv[1:]
"""


@dataclass(frozen=True)
class Person:
    """A user of a live hub."""

    hub: ThreadHub
    name: str
    pk: int
    token: str

    @cached_property
    def api(self) -> HfApi:
        """The real client with this user's token."""
        return self.hub.api(self.token)

    def path(self, name: str) -> str:
        """``anna-3f2a/bert``."""
        return f"{self.name}/{name}"

    def call(self, method: str, target: str, body: Any = None, **headers: str) -> Response:
        """Send a request with this user's token."""
        return self.hub.call(method, target, body, token=self.token, **headers)

    def repo(self, name: str = "bert", kind: str = "model", **how: Any) -> str:
        """Create a repository and return its id."""
        sdk = {"space_sdk": "static"} if kind == "space" else {}
        self.api.create_repo(self.path(name), repo_type=kind, **{**sdk, **how})
        return self.path(name)

    def commit(self, repo_id: str, *lines: Mapping[str, Any], **how: Any) -> Response:
        """Commit operations as ``{"key": …, "value": …}``; ``how``: kind, rev, header fields."""
        kind, rev = how.pop("kind", "models"), how.pop("rev", "main")
        header = {"key": "header", "value": {"summary": "test", **how}}
        body = "\n".join(json.dumps(line) for line in [header, *lines])
        target = f"/api/{kind}/{repo_id}/commit/{rev}"
        return self.call("POST", target, body, **{"Content-Type": "application/x-ndjson"})

    def run(self, *command: str, home: Path, xet: bool = True, **env: str) -> str:
        """Run a program with a fresh installation of the client, and return its output.

        Unlike the test process, the program has Xet on by default, as the client has it.
        """
        inherited = {
            name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ
        }
        home.mkdir(parents=True, exist_ok=True)
        configured = {
            "HOME": str(home),
            "HF_HOME": str(home / "hf"),
            "HF_ENDPOINT": self.hub.url,
            "HF_TOKEN": self.token,
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            **({} if xet else {"HF_HUB_DISABLE_XET": "1"}),
        }
        result = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=100,
            env={**inherited, **configured, **env},
            cwd=home,
        )
        assert result.returncode == 0, f"{command}:\n{result.stdout}\n{result.stderr}"
        return result.stdout

    def python(self, script: str, *arguments: str, home: Path, **how: Any) -> str:
        """Run Python of the tests' own environment; ``api`` is the real client. See ``run``."""
        code = _SCRIPT + textwrap.dedent(script)
        return self.run(sys.executable, "-c", code, *arguments, home=home, **how)

    def with_token(self, role: str) -> Person:
        """Return the same user with another token of that role."""
        return Person(self.hub, self.name, self.pk, self.hub.token_of(self.pk, role))
