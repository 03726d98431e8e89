"""The root command: commands and groups by name, imported when they run."""

from __future__ import annotations

import importlib
import os
import sqlite3
from typing import Any

import click

from hubstead.errors import HubError, Unavailable
from hubstead.files import OTHERS

#: Command or group -> its line in ``hubstead --help``. The module has the same name.
COMMANDS = {
    "serve": "Start the hub and serve until SIGTERM or Ctrl-C.",
    "user": "Create, list, disable and delete users.",
    "token": "Create, list and revoke access tokens.",
    "org": "Create, list and delete organizations, and manage their members.",
    "repo": "List, show and delete repositories.",
    "collection": "List and delete collections.",
    "webhook": "Add, list and remove webhooks, and show their deliveries.",
    "jobs": "List waiting and running jobs.",
    "settings": "List every setting, its value and the source of the value.",
    "backup": "Add a consistent snapshot of the hub to a backup folder.",
    "restore": "Restore a hub from a backup, or compare a hub with one.",
    "doctor": "Check the database against stored bytes and git.",
    "repair": "Replace lost or damaged objects, and verify them.",
    "gc": "List unreferenced data, and delete it on request.",
    "xet": "Convert plain LFS objects to deduplicated chunks.",
    "stats": "Show storage use and the savings of deduplication.",
}


class Failure(click.ClickException):
    """An error that the command prints as one line, with exit status 1."""

    def show(self, file: Any = None) -> None:
        """Print the message to standard error."""
        click.echo(f"hubstead: {self.message}", file=file, err=True)


class Root(click.Group):
    """Imports commands by name, and turns domain errors into one line and exit status 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of ``COMMANDS``."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and return its command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"hubstead.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing their modules."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; print domain and system errors without a traceback."""
        try:
            return super().invoke(ctx)
        except HubError as error:
            message = error.reason if isinstance(error, Unavailable) else error.message
            raise Failure(message) from error
        except (OSError, sqlite3.Error) as error:
            if isinstance(error, BrokenPipeError):
                raise
            raise Failure(str(error)) from error


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hubstead", prog_name="hubstead")
def root() -> None:
    """Hubstead: the Hugging Face Hub for your own machines.

    Every command takes --data DIR (or HUBSTEAD_DATA; by default the folder `data` here) and
    --settings FILE (or HUBSTEAD_SETTINGS). All commands but serve and restore work beside a running
    hub. `hubstead COMMAND --help` lists the exit statuses of a command.
    """


def main() -> None:
    """Run the command line. What it and its children create is for this user alone."""
    os.umask(OTHERS)
    root(prog_name="hubstead")
