"""What happened, written with the change itself; rooms that listen hear of it at least once."""

from hubstead.outbox.events import Event, Listener, RecordedEvent, pending, prune, record, tell

__all__ = ["Event", "Listener", "RecordedEvent", "pending", "prune", "record", "tell"]
