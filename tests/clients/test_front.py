"""The public name leads configured clients to the hub, and no other name does."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.clients.hub import ANNA, PopulatedHub


def ask(hub: PopulatedHub, url: str, *, trusting: bool = False, body: bytes | None = None) -> Any:
    assert hub.front is not None
    context = ssl.create_default_context(cafile=str(hub.front.authority) if trusting else None)
    proxy = urllib.request.ProxyHandler({"https": hub.front.proxy})
    opener = urllib.request.build_opener(proxy, urllib.request.HTTPSHandler(context=context))
    headers = {"Authorization": f"Bearer {hub.tokens[ANNA]}", "Content-Type": "application/json"}
    with opener.open(urllib.request.Request(url, body, headers), timeout=30) as response:
        return json.load(response)


def test_the_name_leads_to_the_hub_and_its_links_have_the_name(hub_by_name: PopulatedHub) -> None:
    create = "https://huggingface.co/api/repos/create"
    repo = ask(hub_by_name, create, trusting=True, body=b'{"name": "by-name"}')
    assert repo["url"] == "https://huggingface.co/anna/by-name"
    listed = ask(hub_by_name, "https://huggingface.co/api/models", trusting=True)
    assert "anna/by-name" in {model["id"] for model in listed}


def test_a_client_that_does_not_trust_the_authority_fails(hub_by_name: PopulatedHub) -> None:
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        ask(hub_by_name, "https://huggingface.co/api/models")


def test_the_proxy_refuses_other_names(hub_by_name: PopulatedHub) -> None:
    with pytest.raises(OSError, match="403"):
        ask(hub_by_name, "https://example.org/")
