"""``/readyz`` of a node whose clock is wrong."""

from __future__ import annotations

from tests.support.hub import ThreadHub

from hubstead.ids import now_ms
from hubstead.jobs import NodeClock


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
    assert live_hub.call("GET", "/readyz").json == {"status": "ready"}
