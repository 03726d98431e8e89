"""Tests of the room repos."""
