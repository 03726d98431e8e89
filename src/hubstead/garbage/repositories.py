"""How garbage calls the repositories it is looked for in."""

from __future__ import annotations

from hubstead.repos import Repo


def name_of(found: Repo) -> str:
    """Return what people are told: ``models/acme/bert``."""
    return f"{found.kind.plural}/{found.full_name}"
