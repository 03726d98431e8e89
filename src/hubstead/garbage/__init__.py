"""Finding what no ref, hold or upload needs any more, saying why, and taking it away."""

from hubstead.garbage.collection import collect_garbage
from hubstead.garbage.counts import GarbageCount, GarbageKind, GarbageState, total_counts

__all__ = ["GarbageCount", "GarbageKind", "GarbageState", "collect_garbage", "total_counts"]
