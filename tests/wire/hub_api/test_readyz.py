"""``/readyz`` reports database, store, clock and disk of a node."""

from __future__ import annotations

import pytest
from tests.support.hub import ThreadHub

from hubstead.errors import Unavailable
from hubstead.ids import now_ms
from hubstead.jobs import NodeClock

READY = {"status": "ready", "database": "ok", "store": "ok", "clock": "ok", "disk": "ok"}


def test_a_wrong_clock_is_degraded_and_unavailable_beside_a_right_one(live_hub: ThreadHub) -> None:
    hub = live_hub.hub
    own = hub.clock
    other = NodeClock(hub.db, "other", tolerance_s=5)
    hub.clock = NodeClock(hub.db, "wrong", tolerance_s=5, now_ms=lambda: now_ms() - 60_000)
    try:
        live_hub.run(own.withdraw())
        degraded = live_hub.call("GET", "/readyz")
        assert degraded.status == 200
        assert degraded.json["status"] == "degraded"
        assert "clock differs from the database's by -60" in degraded.json["clock"]
        live_hub.run(other.measure())
        refused = live_hub.call("GET", "/readyz")
        assert refused.status == 503
        assert "clock differs from the database's by -60" in refused.message
    finally:
        live_hub.run(hub.clock.withdraw())
        live_hub.run(other.withdraw())
        hub.clock = own
    assert live_hub.call("GET", "/readyz").json == READY


def test_a_full_disk_is_degraded_and_stays_with_its_balancer(live_hub: ThreadHub) -> None:
    hub = live_hub.hub
    settings = hub.settings
    hub.settings = settings.replace(min_free_bytes=1 << 62)
    try:
        degraded = live_hub.call("GET", "/readyz")
    finally:
        hub.settings = settings
    assert degraded.status == 200
    assert degraded.json["status"] == "degraded"
    assert degraded.json["database"] == degraded.json["store"] == "ok"
    assert "writes are refused" in degraded.json["disk"]
    assert live_hub.call("GET", "/readyz").json == READY


def test_a_part_that_fails_is_named(live_hub: ThreadHub, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ready() -> None:
        raise Unavailable(reason="the bucket of the object store does not exist")

    monkeypatch.setattr(live_hub.hub.blobs, "ready", ready)
    refused = live_hub.call("GET", "/readyz")
    assert refused.status == 503
    assert refused.json["status"] == "unavailable"
    assert refused.json["store"] == "the bucket of the object store does not exist"
    assert refused.json["database"] == "ok"
    assert "store: the bucket" in refused.message
