"""Finding what no ref, hold or upload needs any more, saying why, and taking it away."""

from hubstead.garbage.collecting import collect
from hubstead.garbage.findings import Heap, What, When, in_total

__all__ = ["Heap", "What", "When", "collect", "in_total"]
