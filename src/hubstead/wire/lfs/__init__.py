"""Git LFS: batch, uploads whole and in parts, downloads by signed addresses, verify."""

from hubstead.wire.lfs.routes import ROUTES

__all__ = ["ROUTES"]
