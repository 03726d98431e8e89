"""A model of anna's on a live hub, and people around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from tests.live import LiveHub, Person
from tests.wire.xet_cas.xet_live import Cas, pass_for


@dataclass(frozen=True)
class Place:
    """A hub with a model of anna's."""

    hub: LiveHub
    anna: Person
    repo_id: str

    def cas(self, person: Person | None = None, *, repo: str = "", **how: Any) -> Cas:
        """Return the store as anna sees it, or as another person."""
        return pass_for(self.hub, person or self.anna, repo or self.repo_id, **how)


@pytest.fixture
def place(live_hub: LiveHub) -> Place:
    anna = live_hub.user("anna")
    return Place(live_hub, anna, anna.repo("bert"))


@pytest.fixture
def cas(place: Place) -> Cas:
    return place.cas()
