"""The list of checks, and their run beside a working hub."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from hubstead.doctor.buckets import bucket_objects
from hubstead.doctor.contents import derived_facts, pointers
from hubstead.doctor.counts import like_counts, upvote_counts
from hubstead.doctor.findings import Check, Finding, Inspection, Severity
from hubstead.doctor.folders import folders_without_row, leftovers, packs_without_row
from hubstead.doctor.names import account_names, repository_names, reserved_names
from hubstead.doctor.packs import pack_files
from hubstead.doctor.permissions import permissions
from hubstead.doctor.queues import deliveries, events, jobs, stamps
from hubstead.doctor.refs import heads, objects, targets
from hubstead.doctor.schema import database_file
from hubstead.doctor.stored import blob_bytes, blobs_without_row, links
from hubstead.doctor.xet_files import reconstructable_objects, xet_files
from hubstead.doctor.xorbs import xorbs
from hubstead.errors import Unavailable

#: In order of dependence: a check assumes what earlier checks verify.
CHECKS: tuple[Check, ...] = (
    database_file,
    permissions,
    account_names,
    reserved_names,
    repository_names,
    pack_files,
    targets,
    objects,
    heads,
    links,
    bucket_objects,
    blob_bytes,
    xorbs,
    xet_files,
    reconstructable_objects,
    pointers,
    derived_facts,
    like_counts,
    upvote_counts,
    events,
    jobs,
    deliveries,
    stamps,
    packs_without_row,
    leftovers,
    folders_without_row,
    blobs_without_row,
)


async def run_checks(
    inspection: Inspection, checks: Sequence[Check] = CHECKS
) -> AsyncIterator[Finding]:
    """Run the checks one after another and yield their findings.

    Rows and bytes have no common snapshot, so writes to a running hub can cause false findings.
    Every check with findings therefore runs twice, and only findings of both runs are reported.
    """
    is_damaged = False
    for check in checks:
        try:
            findings = [finding async for finding in check(inspection)]
            confirmed = {finding async for finding in check(inspection)} if findings else set()
        except Unavailable as error:
            if not is_damaged:
                raise
            yield _unchecked(check, error)
            continue
        for finding in findings:
            if finding in confirmed:
                is_damaged |= check is database_file
                yield finding


def _unchecked(check: Check, error: Unavailable) -> Finding:
    hint = "mend the database first, then run `hubstead doctor` again"
    what = f"the check {check.__name__} could not read it: {error.reason}"
    return Finding("database_file", Severity.FAULT, "database", what, hint)
