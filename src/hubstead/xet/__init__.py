"""Xet: chunks, xorbs, shards, and files put together from them; its bytes lie in ``blobs``."""
