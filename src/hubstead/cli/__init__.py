"""The command ``hubstead``: one module per command or group, imported when it runs.

Owns the options, the output and the exit statuses; each command calls a room below. Never holds
rules of its own: what a command may do is decided in the room that does it.
"""

from hubstead.cli.root import main

__all__ = ["main"]
