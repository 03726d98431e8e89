"""git's smart HTTP: who clones, fetches and pushes (git ``gitprotocol-http``)."""

from hubstead.wire.smart_http.routes import ROUTES

__all__ = ["ROUTES"]
