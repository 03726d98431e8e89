"""Hubstead."""
