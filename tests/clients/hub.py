"""A hub in its own process, and its users."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hubstead.accounts import Passwords, add_org, add_token, add_user
from hubstead.db import Tx, open_db
from tests.clients.front import NAME, Front, create_certificates, running_front
from tests.support.hub import ProcessHub, running_hub

ANNA, PASSWORD = "anna", "correct horse battery"
ORG = "acme"
#: Tokens in every format of the public Hub; `token import` accepts any text.
OLD_TOKENS = ("hf_" + "a" * 34, "api_" + "b" * 34, "api_org_" + "c" * 34, "d" * 128, "e" * 8)


@dataclass(frozen=True)
class PopulatedHub:
    """A hub at ``url``; ``anna`` owns ``acme``, ``bo`` is a stranger."""

    node: ProcessHub
    tokens: dict[str, str]
    front: Front | None = None

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"https://{NAME}" if self.front else self.node.url

    def run(self, *command: str) -> Any:
        """Run ``hubstead …`` beside the server and return its JSON output."""
        return _run(self.node, *command)


@contextlib.contextmanager
def populated_hub(
    data: Path, settings: Mapping[str, object] | None = None, *, fixed_port: int = 0
) -> Iterator[PopulatedHub]:
    """Start a hub on a free port of this machine, with its users, and stop it afterwards."""
    with running_hub(data, settings, fixed_port=fixed_port) as node:
        where = str((settings or {}).get("database") or f"sqlite:///{data / 'hubstead.db'}")
        yield PopulatedHub(node, asyncio.run(_people(where)))


@contextlib.contextmanager
def fronted_hub(folder: Path, settings: Mapping[str, object]) -> Iterator[PopulatedHub]:
    """Start a hub that its clients reach as https://huggingface.co."""
    way = {"public_url": f"https://{NAME}", "trusted_proxies": "127.0.0.1/32"}
    config = {**settings, **way}
    certificates = create_certificates(folder / "certificates")
    with (
        populated_hub(folder / "data", config, fixed_port=_free_port()) as hub,
        running_front(hub.node.port, certificates) as front,
    ):
        yield replace(hub, front=front)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


async def _people(url: str) -> dict[str, str]:
    """Add all users, and return a token by name."""
    db = await open_db(url)
    hashed = await Passwords().hash(PASSWORD)

    async def make(tx: Tx) -> dict[str, str]:
        # Old clients require the keys fullname and email.
        anna = await add_user(
            tx, ANNA, password_hash=hashed, email="anna@example.org", fullname="Anna Example"
        )
        bo = await add_user(tx, "bo", password_hash=hashed)
        await add_org(tx, ORG, anna)
        for token in OLD_TOKENS:
            await add_token(tx, anna, name="of old", value=token)
        return {
            name: await add_token(tx, pk, name="token") for name, pk in ((ANNA, anna), ("bo", bo))
        }

    try:
        return await db.write(make)
    finally:
        await db.close()


def _run(node: ProcessHub, *command: str) -> Any:
    return json.loads(node.run(*command, "--json").stdout)
