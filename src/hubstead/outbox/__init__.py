"""Events: recorded with the change that they report, dispatched to listeners exactly once.

The room owns the table of events and its dispatch. It never knows who listens or what a subject is.
"""

from hubstead.outbox.dispatch import Listener, dispatch, outbox_jobs
from hubstead.outbox.events import (
    Event,
    RecordedEvent,
    Subject,
    count_pending,
    prune_events,
    record_event,
)

__all__ = [
    "Event",
    "Listener",
    "RecordedEvent",
    "Subject",
    "count_pending",
    "dispatch",
    "outbox_jobs",
    "prune_events",
    "record_event",
]
