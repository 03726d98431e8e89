"""The Git LFS wire: batch, uploads whole and in parts, downloads by signed URLs, verify.

Owns the LFS request and response bodies, the signed URLs and their grants.
Never stores bytes or rows itself: ``hubstead.blobs`` and ``hubstead.xet`` do.
"""

from hubstead.wire.lfs.routes import ROUTES

__all__ = ["ROUTES"]
