"""Digests in addresses of the registry view."""

from __future__ import annotations

from hubstead.ids import is_sha256
from hubstead.registry import DigestInvalid


def parse_digest(text: str) -> str:
    """Return the 64 hex digits of ``sha256:…``; ollama also writes ``sha256-…``.

    Raises:
        DigestInvalid: it is no such digest.
    """
    algorithm, digest = text[:7].lower(), text[7:].lower()
    if algorithm not in ("sha256:", "sha256-") or not is_sha256(digest):
        raise DigestInvalid(digest=text[:200])
    return digest
