"""Work to be done later: kept in the database, claimed with a lease, retried until it succeeds."""

from hubstead.jobs.runner import Again, Handler, Job, Prompt, Runner
from hubstead.jobs.table import ListedJob, enqueue, list_jobs

__all__ = [
    "Again",
    "Handler",
    "Job",
    "ListedJob",
    "Prompt",
    "Runner",
    "enqueue",
    "list_jobs",
]
