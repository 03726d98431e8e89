"""Checks of stored counts against the rows that they count."""

from __future__ import annotations

from collections.abc import AsyncIterator

from hubstead.collections import wrong_upvote_counts
from hubstead.doctor.findings import Finding, Inspection, Severity
from hubstead.likes import wrong_like_counts


async def like_counts(inspection: Inspection) -> AsyncIterator[Finding]:
    """Every repository shows as many likes as it has."""
    for row in await wrong_like_counts(inspection.storage.db):
        what = f"it shows {row.counted} likes and has {row.likes}"
        hint = "no content is lost: correct the column repo.likes"
        yield Finding("like_counts", Severity.WARNING, f"repository {row.repo_id}", what, hint)


async def upvote_counts(inspection: Inspection) -> AsyncIterator[Finding]:
    """Every collection shows as many upvotes as it has."""
    for row in await wrong_upvote_counts(inspection.storage.db):
        what = f"it shows {row.counted} upvotes and has {row.upvotes}"
        hint = "no content is lost: correct the column collection.upvotes"
        subject = f"collection {row.collection_id}"
        yield Finding("upvote_counts", Severity.WARNING, subject, what, hint)
