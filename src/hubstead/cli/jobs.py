"""``hubstead jobs``."""

from __future__ import annotations

import click

from hubstead.cli.context import Context, with_context
from hubstead.cli.output import Facts, iso_time, print_rows
from hubstead.db import Database
from hubstead.jobs import ListedJob, list_jobs


@click.command("jobs")
@with_context
def command(place: Context) -> None:
    """List the work that waits or runs, the next one due first."""

    async def read(db: Database) -> list[ListedJob]:
        return await list_jobs(db)

    columns = ("type", "subject", "due", "running_on", "attempts", "error")
    print_rows(place, [_facts(each) for each in place.query(read)], columns)


def _facts(each: ListedJob) -> Facts:
    return {
        "type": each.type,
        "subject": each.subject,
        "payload": each.payload,
        "due": iso_time(each.due_ms),
        "running_on": each.running_on,
        "attempts": each.attempts,
        "error": each.error,
        "created": iso_time(each.created_ms),
    }
