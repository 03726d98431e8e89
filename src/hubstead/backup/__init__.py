"""Backups: creates, checks, prunes and restores consistent snapshots of a hub of either shape.

The room owns the format of a backup's folder and the mark of an incomplete restore. It never
stops a running server, and never overwrites a hub that has content.
"""

from hubstead.backup.blob_copy import Patience
from hubstead.backup.create import create_backup
from hubstead.backup.errors import BackupFault
from hubstead.backup.folder import BackupFolder, Snapshot
from hubstead.backup.load import awaits_restore
from hubstead.backup.manifest import Amount, Manifest
from hubstead.backup.progress import Progress
from hubstead.backup.prune import prune_snapshots
from hubstead.backup.repair import RepairResult, repair_objects
from hubstead.backup.restore import marked_folder, restore_snapshot
from hubstead.backup.verify import check_backup, verify_restore

__all__ = [
    "Amount",
    "BackupFault",
    "BackupFolder",
    "Manifest",
    "Patience",
    "Progress",
    "RepairResult",
    "Snapshot",
    "awaits_restore",
    "check_backup",
    "create_backup",
    "marked_folder",
    "prune_snapshots",
    "repair_objects",
    "restore_snapshot",
    "verify_restore",
]
