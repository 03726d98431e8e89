"""Durable jobs: enqueued in a transaction, claimed under a lease, retried until they succeed.

The room owns the tables of jobs and of nodes. It never knows what a job does: rooms declare their
types of jobs with handlers, ``app.py`` merges the declarations.
"""

from hubstead.jobs.job_types import Handler, Job, JobType, Reschedule, WorkProbe, job_types_by_name
from hubstead.jobs.jobs import database_jobs
from hubstead.jobs.node_clock import MEASURE_EVERY_S, NodeClock, node_name
from hubstead.jobs.queue import ListedJob, enqueue, list_jobs
from hubstead.jobs.runner import Runner
from hubstead.jobs.snapshot import end_leases

__all__ = [
    "MEASURE_EVERY_S",
    "Handler",
    "Job",
    "JobType",
    "ListedJob",
    "NodeClock",
    "Reschedule",
    "Runner",
    "WorkProbe",
    "database_jobs",
    "end_leases",
    "enqueue",
    "job_types_by_name",
    "list_jobs",
    "node_name",
]
