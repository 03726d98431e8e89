"""Work to be done later: kept in the database, claimed with a lease, retried until it succeeds."""

from hubstead.jobs.node_clock import MEASURE_EVERY_S, NodeClock
from hubstead.jobs.queue import ListedJob, enqueue, list_jobs
from hubstead.jobs.runner import Handler, Job, Reschedule, Runner, WorkProbe

__all__ = [
    "MEASURE_EVERY_S",
    "Handler",
    "Job",
    "ListedJob",
    "NodeClock",
    "Reschedule",
    "Runner",
    "WorkProbe",
    "enqueue",
    "list_jobs",
]
