"""The pairs of a Hub client and a Xet client that are run, and their environments."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.clients.environments import FOLDER, command_of, create_environment
from tests.clients.hub import ANNA, PopulatedHub
from tests.clients.releases import ALL, JAVASCRIPT, Release
from tests.clients.runner import SCENARIOS

TIMEOUT_S = 900
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR")


@dataclass(frozen=True)
class XetClient:
    """A release of a Hub client with one of hf_xet; the one for Node has its own Xet client.

    Attributes:
        hub: The version of huggingface_hub or @huggingface/hub.
        xet: The version of hf_xet; empty for Node.
        everyday: Whether every test run includes it.
    """

    hub: str
    xet: str = ""
    everyday: bool = False

    def __str__(self) -> str:
        return (
            f"huggingface_hub {self.hub}, hf_xet {self.xet}"
            if self.xet
            else f"@huggingface/hub {self.hub}"
        )

    @property
    def tag(self) -> str:
        """A name for the repositories of this client."""
        return f"x{self.xet or 'js'}_{self.hub}_".replace(".", "_")

    def command(self) -> list[str | Path]:
        """Return the command that runs a script with this client, from its cached environment."""
        if not self.xet:
            return command_of(Release(self.hub, JAVASCRIPT))
        folder = self.folder
        FOLDER.mkdir(parents=True, exist_ok=True)
        with folder.with_name(f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "ready").exists():
                shutil.rmtree(folder, ignore_errors=True)
                # The command line of 1.x imports click, which typer installed until 2026.
                wanted = (f"huggingface_hub=={self.hub}", f"hf_xet=={self.xet}", "click")
                create_environment(folder, *wanted)
                (folder / "ready").touch()
        return [folder / "bin" / "python", "-W", "ignore"]

    @property
    def folder(self) -> Path:
        return FOLDER / (f"{self.hub}-xet-{self.xet}" if self.xet else f"js-{self.hub}")


#: One of each generation of the wire: paths, shards, plans and chunkers changed between them.
CLIENTS = [
    XetClient("0.30.2", "1.0.5"),
    XetClient("0.32.6", "1.1.2"),
    XetClient("0.34.4", "1.1.9"),
    XetClient("0.36.2", "1.1.10"),
    XetClient("1.0.1", "1.2.0"),
    XetClient("1.4.1", "1.3.2"),
    XetClient("1.10.2", "1.4.3"),
    XetClient("1.20.1", "1.5.2"),
    XetClient("1.33.0", "1.6.0"),
    XetClient("2.0.0", "1.7.1"),
    XetClient("2.4.0", "1.8.0", everyday=True),
    XetClient("2.17.5"),
]
#: The last client with the older chunking rule; the newest Python one has the newer rule.
OLD_CHUNKER, NEW_CHUNKER = CLIENTS[2], CLIENTS[10]


def run_client(
    hub: PopulatedHub, client: XetClient, script: str, home: Path, *arguments: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run ``scenarios/<script>`` with ``client`` and the home folder ``home``."""
    env = {name: os.environ[name] for name in _KEPT if name in os.environ}
    home.mkdir(exist_ok=True)
    return subprocess.run(
        [*client.command(), SCENARIOS / script, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env={**env, **_environment(hub, client, home), **more},
        cwd=home,
    )


def _environment(hub: PopulatedHub, client: XetClient, home: Path) -> dict[str, str]:
    node = hub.node
    command = {
        "program": str(node.command()[0]),
        "options": ["--data", str(node.data), "--json"],
        "environment": node.environment(),
    }
    return {
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "HF_XET_CACHE": str(home / "xet"),
        "HF_ENDPOINT": hub.url,
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HUB_URL": hub.url,
        "HUB_COMMAND": json.dumps(command),
        "ANNA_TOKEN": hub.tokens[ANNA],
        "BO_TOKEN": hub.tokens["bo"],
        "PASSWORD": "",
        "CLIENT": str(client.folder),
        "RELEASE": client.hub,
        "HF_XET": client.xet,
        "RUN": client.tag,
        "THOROUGH": "1" if ALL else "0",
    }
