"""Backups: a consistent picture of a hub of either shape, and a hub made of it."""

from hubstead.backup.faults import Faulty
from hubstead.backup.folder import BackupFolder, Snapshot
from hubstead.backup.loading import awaits_restore
from hubstead.backup.making import make_backup
from hubstead.backup.manifest import Amount, Manifest
from hubstead.backup.progress import Progress
from hubstead.backup.pruning import prune
from hubstead.backup.repair import Outcome, repair
from hubstead.backup.restoring import marked_folder, restore
from hubstead.backup.verifying import check, verify

__all__ = [
    "Amount",
    "BackupFolder",
    "Faulty",
    "Manifest",
    "Outcome",
    "Progress",
    "Snapshot",
    "awaits_restore",
    "check",
    "make_backup",
    "marked_folder",
    "prune",
    "repair",
    "restore",
    "verify",
]
