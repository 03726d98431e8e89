"""The Xet protocol over HTTP: xorb and shard uploads, chunk queries, reconstruction plans.

The room owns the routes below ``/xet`` and decides what a client may learn about stored chunks. It
stores nothing: room ``xet`` does.
"""

from hubstead.wire.xet.routes import ROUTES

__all__ = ["ROUTES"]
