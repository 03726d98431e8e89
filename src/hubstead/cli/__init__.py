"""The command ``hubstead``: one module per group of commands, loaded when it is used."""

from hubstead.cli.root import main

__all__ = ["main"]
