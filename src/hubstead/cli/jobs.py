"""``hubstead jobs``: lists background jobs."""

from __future__ import annotations

import click

from hubstead.cli.context import Context, with_context
from hubstead.cli.output import Facts, iso_time, print_rows
from hubstead.jobs import ListedJob, list_jobs


@click.command("jobs")
@with_context
def command(context: Context) -> None:
    """List waiting and running jobs, the next due first."""

    columns = ("type", "subject", "due", "running_on", "attempts", "error")
    print_rows(context, [_facts(job) for job in context.query(list_jobs)], columns)


def _facts(job: ListedJob) -> Facts:
    return {
        "type": job.type,
        "subject": job.subject,
        "payload": job.payload,
        "due": iso_time(job.due_ms),
        "running_on": job.running_on,
        "attempts": job.attempts,
        "error": job.error,
        "created": iso_time(job.created_ms),
    }
