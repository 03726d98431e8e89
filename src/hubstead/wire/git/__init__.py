"""git's smart HTTP protocol: clone, fetch and push (git ``gitprotocol-http``).

Owns the packets, the advertisement of refs and the report of a push. Never decides about a push nor
reads git objects: ``commits`` and ``gitstore`` do.
"""

from hubstead.wire.git.routes import ROUTES

__all__ = ["ROUTES"]
