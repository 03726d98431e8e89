"""Tests of Hubstead by room; each folder mirrors one of ``src/hubstead``."""
