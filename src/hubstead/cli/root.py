"""The root of the command: its groups by name, each imported only when it is called."""

from __future__ import annotations

import importlib
import sqlite3
from typing import Any

import click

from hubstead.errors import HubError, Unavailable

#: Group or command to the line that ``hubstead --help`` shows; the module has the same name.
COMMANDS = {
    "serve": "Start the hub and serve until SIGTERM or Ctrl-C.",
    "user": "Create, list, disable and delete users.",
    "token": "Create, list and revoke access tokens.",
    "org": "Create and list organizations, and who is in them.",
    "repo": "List, show and delete repositories.",
    "webhook": "Subscribe addresses to what happens, and see what they were told.",
    "jobs": "List the work that waits or runs.",
    "settings": "List every setting, its value and where that came from.",
    "backup": "Copy the hub, as it is at one moment, into a folder.",
    "restore": "Make a hub of a backup, or compare one with it.",
    "doctor": "Check the database against the bytes and git.",
    "repair": "Put single damaged objects back, and prove it.",
    "gc": "Find what nothing needs any more, and take it away.",
    "xet": "Cut plain LFS objects into chunks.",
    "stats": "Tell what repositories take, and what deduplication saves.",
}


class Failure(click.ClickException):
    """Something the user is told in one line; the command ends with status 1."""

    def show(self, file: Any = None) -> None:
        """Print it to standard error."""
        click.echo(f"hubstead: {self.message}", file=file, err=True)


class Root(click.Group):
    """Knows its commands by name and turns our errors into a line and a status."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"hubstead.cli.{cmd_name}")
        found: click.Command = module.command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what can be expected to go wrong is told without a traceback."""
        try:
            return super().invoke(ctx)
        except HubError as error:
            said = error.reason if isinstance(error, Unavailable) else error.message
            raise Failure(said) from error
        except (OSError, sqlite3.Error) as error:
            if isinstance(error, BrokenPipeError):
                raise
            raise Failure(str(error)) from error


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hubstead", prog_name="hubstead")
def root() -> None:
    """Hubstead: the Hugging Face Hub for your own machines.

    Every command takes --data DIR (or HUBSTEAD_DATA; by default the folder `data` here) and
    --settings FILE (or HUBSTEAD_SETTINGS). All but serve and restore may be used while the hub is
    running.
    """


def main() -> None:
    """Run the command line."""
    root(prog_name="hubstead")
