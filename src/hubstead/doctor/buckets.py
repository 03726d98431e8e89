"""Checks of buckets."""

from __future__ import annotations

from collections.abc import AsyncIterator

from hubstead.buckets import bucket_faults
from hubstead.doctor.findings import Finding, Inspection, Severity

_HINT = "restore the bucket's rows from a backup, or upload the object again"


async def bucket_objects(inspection: Inspection) -> AsyncIterator[Finding]:
    """The bucket of every object links its bytes, and its counters are true."""
    for fault in await bucket_faults(inspection.storage.db):
        subject = fault.bucket.web_path if fault.bucket else "a deleted bucket"
        yield Finding("bucket_objects", Severity.FAULT, subject, fault.what, _HINT)
