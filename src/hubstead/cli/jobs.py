"""``hubstead jobs``."""

from __future__ import annotations

import click

from hubstead.cli.places import Place, with_place
from hubstead.cli.printing import Facts, moment, show_rows
from hubstead.db import Database
from hubstead.jobs import ListedJob, list_jobs


@click.command("jobs")
@with_place
def command(place: Place) -> None:
    """List the work that waits or runs, the next one due first."""

    async def read(db: Database) -> list[ListedJob]:
        return await list_jobs(db)

    columns = ("type", "subject", "due", "running_on", "attempts", "error")
    show_rows(place, [_facts(each) for each in place.ask(read)], columns)


def _facts(each: ListedJob) -> Facts:
    return {
        "type": each.type,
        "subject": each.subject,
        "payload": each.payload,
        "due": moment(each.due_ms),
        "running_on": each.running_on,
        "attempts": each.attempts,
        "error": each.error,
        "created": moment(each.created_ms),
    }
