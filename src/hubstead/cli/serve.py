"""``hubstead serve``."""

from __future__ import annotations

import click

from hubstead.cli.context import Context, with_context


@click.command("serve")
@click.option("--host", help="The address to listen on.")
@click.option("--port", type=int, help="The port to listen on; 0: any free one.")
@with_context
def command(place: Context, host: str | None, port: int | None) -> None:
    """Start the hub and serve until SIGTERM or Ctrl-C."""
    settings = place.settings(host=host, port=port)
    from hubstead.app import serve

    serve(settings, as_json=place.as_json)
