"""``hubstead serve``: runs the server."""

from __future__ import annotations

import click

from hubstead.cli.context import Context, with_context


@click.command("serve")
@click.option("--host", help="The address to listen on.")
@click.option("--port", type=int, help="The port to listen on; 0 takes a free one.")
@with_context
def command(context: Context, host: str | None, port: int | None) -> None:
    """Start the hub and serve until SIGTERM or Ctrl-C.

    Exit status: 0 after SIGTERM or Ctrl-C; 1 if the hub cannot start, with the reason on standard
    error; 2 if the options are wrong.
    """
    settings = context.settings(host=host, port=port)
    from hubstead.app import serve

    serve(settings, as_json=context.as_json)
