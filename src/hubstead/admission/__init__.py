"""Admission of blocking work: lanes with bounded queues, shares per caller, deadlines, budgets.

Owns every thread that is not the database's writer, and the count of bytes that requests buffer.
Never knows what a call does: rooms choose the lane, and poll ``checkpoint`` in their loops.
"""

from hubstead.admission.admission import (
    Admission,
    BoundedThreads,
    Place,
    default_rules,
    install_admission,
    run_in_lane,
    run_to_the_end,
    slot,
    start_detached,
    start_lasting,
    try_place,
    wait_to_the_end,
)
from hubstead.admission.lane_queue import Lane, LaneRules
from hubstead.admission.metrics import declare_admission_metrics
from hubstead.admission.stalls import StallWatch
from hubstead.admission.work import (
    ByteBudget,
    Work,
    address_key,
    buffer_bytes,
    checkpoint,
    current_work,
)

__all__ = [
    "Admission",
    "BoundedThreads",
    "ByteBudget",
    "Lane",
    "LaneRules",
    "Place",
    "StallWatch",
    "Work",
    "address_key",
    "buffer_bytes",
    "checkpoint",
    "current_work",
    "declare_admission_metrics",
    "default_rules",
    "install_admission",
    "run_in_lane",
    "run_to_the_end",
    "slot",
    "start_detached",
    "start_lasting",
    "try_place",
    "wait_to_the_end",
]
