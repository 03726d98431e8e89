"""What Hubstead promises, room by room; each folder mirrors one of ``src/hubstead``."""
