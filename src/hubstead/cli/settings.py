"""``hubstead settings``."""

from __future__ import annotations

import dataclasses
import textwrap

import click

from hubstead.cli.context import Context, with_context
from hubstead.cli.output import print_rows, printable
from hubstead.settings import Described, describe


@click.command("settings")
@with_context
def command(place: Context) -> None:
    """List every setting with its help, its value and where that came from; secrets are hidden."""
    described = describe(place.settings())
    if place.as_json:
        print_rows(place, [dataclasses.asdict(each) for each in described])
        return
    group = ""
    for each in described:
        if each.group != group:
            group = each.group
            click.secho(f"{group}\n", bold=True)
        _print(each)


def _print(each: Described) -> None:
    value = printable(each.value) or "(empty)"
    click.echo(f"  {each.name} = {value}   [{each.origin}]")
    click.echo(textwrap.fill(each.help, 92, initial_indent=" " * 6, subsequent_indent=" " * 6))
    click.echo()
