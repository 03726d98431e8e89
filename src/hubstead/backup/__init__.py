"""Backups: a consistent picture of a hub of either shape, and a hub made of it."""

from hubstead.backup.faults import Faulty
from hubstead.backup.folder import BackupFolder, Snapshot
from hubstead.backup.loading import is_empty
from hubstead.backup.making import make_backup
from hubstead.backup.manifest import Amount, Manifest
from hubstead.backup.progress import Progress
from hubstead.backup.pruning import prune
from hubstead.backup.restoring import restore
from hubstead.backup.verifying import check, verify

__all__ = [
    "Amount",
    "BackupFolder",
    "Faulty",
    "Manifest",
    "Progress",
    "Snapshot",
    "check",
    "is_empty",
    "make_backup",
    "prune",
    "restore",
    "verify",
]
