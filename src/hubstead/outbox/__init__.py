"""What happened, written with the change itself; rooms that listen hear of it at least once."""

from hubstead.outbox.events import (
    Event,
    Listener,
    RecordedEvent,
    count_pending,
    dispatch,
    prune_events,
    record_event,
)

__all__ = [
    "Event",
    "Listener",
    "RecordedEvent",
    "count_pending",
    "dispatch",
    "prune_events",
    "record_event",
]
