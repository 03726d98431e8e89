"""Checks of stored counts against the rows that they count."""

from __future__ import annotations

from collections.abc import AsyncIterator

from hubstead.doctor.findings import Finding, Inspection, Severity
from hubstead.likes import wrong_like_counts


async def like_counts(inspection: Inspection) -> AsyncIterator[Finding]:
    """Every repository shows as many likes as it has."""
    for row in await wrong_like_counts(inspection.storage.db):
        what = f"it shows {row.counted} likes and has {row.likes}"
        hint = "no content is lost: correct the column repo.likes"
        yield Finding("like_counts", Severity.WARNING, f"repository {row.repo_id}", what, hint)
