"""git's smart HTTP: who clones, fetches and pushes (git ``gitprotocol-http``)."""

from hubstead.wire.git.routes import ROUTES

__all__ = ["ROUTES"]
