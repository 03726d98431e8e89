"""``hubstead settings``: lists the settings in effect."""

from __future__ import annotations

import dataclasses
import textwrap

import click

from hubstead.cli.context import Context, with_context
from hubstead.cli.output import print_rows, printable
from hubstead.settings import Described, describe, list_warnings


@click.command("settings")
@with_context
def command(context: Context) -> None:
    """List every setting with its help, its value and the source of the value, without secrets."""
    settings = context.settings()
    described = describe(settings)
    for warning in list_warnings(settings):
        click.echo(f"hubstead: warning: {warning}", err=True)
    if context.as_json:
        print_rows(context, [dataclasses.asdict(setting) for setting in described])
        return
    group = ""
    for setting in described:
        if setting.group != group:
            group = setting.group
            click.secho(f"{group}\n", bold=True)
        _print(setting)


def _print(setting: Described) -> None:
    value = printable(setting.value) or "(empty)"
    click.echo(f"  {setting.name} = {value}   [{setting.origin}]")
    click.echo(textwrap.fill(setting.help, 92, initial_indent=" " * 6, subsequent_indent=" " * 6))
    click.echo()
