"""The checks in their order, and running them beside a hub that goes on working."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from hubstead.doctor.contents import derived_facts, pointers
from hubstead.doctor.findings import Check, Fault, Inspection
from hubstead.doctor.folders import folders_without_row, leftovers, packs_without_row
from hubstead.doctor.names import account_names, repository_names
from hubstead.doctor.packs import pack_files
from hubstead.doctor.queues import deliveries, events, jobs
from hubstead.doctor.refs import heads, objects, targets
from hubstead.doctor.schema import database_file
from hubstead.doctor.stored import blob_bytes, blobs_without_row, links
from hubstead.doctor.xet_files import reconstructable_objects, xet_files
from hubstead.doctor.xorbs import xorbs

#: From the ground up: what a later check leans on comes before it.
CHECKS: tuple[Check, ...] = (
    database_file,
    account_names,
    repository_names,
    pack_files,
    targets,
    objects,
    heads,
    links,
    blob_bytes,
    xorbs,
    xet_files,
    reconstructable_objects,
    pointers,
    derived_facts,
    events,
    jobs,
    deliveries,
    packs_without_row,
    leftovers,
    folders_without_row,
    blobs_without_row,
)


async def run_checks(patient: Inspection, checks: Sequence[Check] = CHECKS) -> AsyncIterator[Fault]:
    """Run the checks one after another and yield what they find.

    Rows and bytes cannot be read at one moment, so a hub at work may seem wrong in passing.
    What a check finds is therefore looked for again, and only what is found twice is told.
    """
    for check in checks:
        found = [finding async for finding in check(patient)]
        again = {finding async for finding in check(patient)} if found else set()
        for finding in found:
            if finding in again:
                yield finding
