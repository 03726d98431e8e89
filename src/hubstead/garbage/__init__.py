"""Garbage collection: counts what no ref, hold or upload references, and deletes it on request.

Owns the counts with their reasons, and the removal of links that no ref reaches. Never deletes
bytes itself: that is the work of the jobs of rooms ``blobs``, ``commits`` and ``xet``.
"""

from hubstead.garbage.collection import collect_garbage
from hubstead.garbage.counts import GarbageCount, GarbageKind, GarbageState, total_counts
from hubstead.garbage.jobs import forget_unreachable, garbage_jobs

__all__ = [
    "GarbageCount",
    "GarbageKind",
    "GarbageState",
    "collect_garbage",
    "forget_unreachable",
    "garbage_jobs",
    "total_counts",
]
