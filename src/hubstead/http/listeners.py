"""The sockets that a server listens on."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack

from hubstead.errors import Unavailable

#: What a name's addresses fail with if their family is switched off on this machine.
_NO_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def open_listeners(host: str, port: int, *, backlog: int) -> list[socket.socket]:
    """Listen on every address of ``host``, at the same port.

    Args:
        host: An address or a name. "::" stands for every IPv6 address and no IPv4 one.
        port: 0 takes a free one.
        backlog: The most connections that wait to be accepted.

    Raises:
        Unavailable: the port is in use or reserved, or the host is not one of this machine.
    """
    try:
        return _open_all(host, port, backlog)
    except OSError as error:
        number = error.errno or 0  # negative: of the resolver of names
        reason = os.strerror(number) if number > 0 else error.strerror
        raise Unavailable(
            reason=f"cannot listen on {host} port {port} (settings host, port): {reason}"
        ) from error


def _open_all(host: str, port: int, backlog: int) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    failure: OSError | None = None
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    with ExitStack() as opened:
        for family, _, _, _, address in dict.fromkeys(addresses):
            place = (address[0], port, *address[2:])
            try:
                listener = socket.create_server(place, family=family, backlog=backlog)
            except OSError as error:
                if error.errno not in _NO_FAMILY:
                    raise
                failure = error
            else:
                listeners.append(opened.enter_context(listener))
                port = listener.getsockname()[1]
        if failure is not None and not listeners:
            raise failure
        opened.pop_all()
    return listeners
