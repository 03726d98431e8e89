"""Durable jobs: enqueued in a transaction, claimed under a lease, retried until they succeed.

The room owns the tables of jobs and of nodes. It never knows what a job does: handlers come from
the rooms that declare them.
"""

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
