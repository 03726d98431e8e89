"""The metrics of admission."""

from __future__ import annotations

from hubstead.admission.admission import Admission
from hubstead.admission.lane_queue import Lane
from hubstead.metrics import Metrics


def declare_admission_metrics(metrics: Metrics, admission: Admission) -> None:
    """Declare lanes (running, queued, refused), buffered bytes and stalls of the event loop."""
    queues = {lane.value: admission.queue(lane) for lane in Lane}
    metrics.numbers(
        "lane_running",
        "Calls that run in a lane.",
        lambda: {name: queue.running for name, queue in queues.items()},
        label="lane",
    )
    metrics.numbers(
        "lane_queued",
        "Calls that wait for a lane.",
        lambda: {name: queue.queued for name, queue in queues.items()},
        label="lane",
    )
    metrics.numbers(
        "lane_refused",
        "Calls that a lane refused: 429 or 503.",
        lambda: {name: queue.refused for name, queue in queues.items()},
        label="lane",
        counts=True,
    )
    budget, stalls = admission.budget, admission.stalls
    metrics.gauge("buffered_bytes", "Bytes that requests buffer.", lambda: budget.used)
    metrics.total("buffer_refused", "Requests refused for their bytes.", lambda: budget.refused)
    metrics.total("loop_stalls", "Stalls of the event loop over 50 ms.", lambda: stalls.count)
    metrics.total("loop_stall_seconds", "Their length in seconds.", lambda: stalls.seconds)
