"""Checks that other users of the machine cannot read what the hub keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from hubstead.doctor.findings import Finding, Inspection, Severity
from hubstead.files import others_may_use
from hubstead.settings import FILE_NAME, options


async def permissions(inspection: Inspection) -> AsyncIterator[Finding]:
    """Only the hub's user may read the database, git folders, blobs, bodies and secrets."""
    settings = inspection.storage.settings
    for path in settings.private_paths():
        if others_may_use(path):
            yield _finding(path)
    file = settings.data.absolute() / FILE_NAME
    if others_may_use(file) and _has_secrets(file):
        yield _finding(file)


def _has_secrets(file: Path) -> bool:
    words = file.read_text("utf-8", "replace").split()
    return any(option.name in words for option in options() if option.secret)


def _finding(path: Path) -> Finding:
    what = "other users of this machine may read or change it"
    return Finding("permissions", Severity.WARNING, str(path), what, f"run chmod go= {path}")
