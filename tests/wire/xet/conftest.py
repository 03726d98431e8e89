"""A model of anna's on a live hub, and other users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.hub import ThreadHub
from tests.support.person import Person
from tests.support.xet import Cas, cas_for


@dataclass(frozen=True)
class XetModel:
    """A hub with a model of anna's."""

    hub: ThreadHub
    anna: Person
    repo_id: str

    def cas(self, person: Person | None = None, *, repo: str = "", **how: Any) -> Cas:
        """Return the Xet wire for anna, or for another user."""
        return cas_for(self.hub, person or self.anna, repo or self.repo_id, **how)


@pytest.fixture
def sample(live_hub: ThreadHub) -> XetModel:
    anna = live_hub.user("anna")
    return XetModel(live_hub, anna, anna.repo("bert"))


@pytest.fixture
def cas(sample: XetModel) -> Cas:
    return sample.cas()
