"""The Xet store (CAS): xorbs, shards, deduplication answers, plans, and the bytes they name."""

from hubstead.wire.xet.routes import ROUTES

__all__ = ["ROUTES"]
