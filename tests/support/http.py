"""One HTTP request and its response, over its own or a kept-alive connection."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Response:
    """A response; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        return self.headers.get("x-error-code")

    @property
    def message(self) -> str:
        return self.headers.get("x-error-message", "")


class Connection:
    """A kept-alive connection to a port of this machine.

    It never sends a request twice: a request without a response may have taken effect or not.
    """

    def __init__(self, port: int, token: str = "", *, timeout_s: float = 30) -> None:
        self.port = port
        self.token = token
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)

    def __call__(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        signed: bool = True,
    ) -> Response:
        """Send a request to a path, or to a URL whose host is ignored.

        A body that is neither bytes nor text goes as JSON. ``signed`` adds the token.

        Raises:
            OSError: if no response comes.
        """
        fields = {"Authorization": f"Bearer {self.token}"} if signed and self.token else {}
        fields |= headers or {}
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            fields.setdefault("Content-Type", "application/json")
        if isinstance(body, str):
            body = body.encode()
        try:
            self._connection.request(method, _target(url), body, fields)
            response = self._connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Response(response.status, named, response.read())
        except http.client.HTTPException as error:
            self._connection.close()
            raise ConnectionError(repr(error)) from error
        except OSError:
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()


def request(
    port: int,
    method: str,
    url: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Send one request on its own connection; see ``Connection``."""
    connection = Connection(port)
    try:
        return connection(method, url, body, headers=headers)
    finally:
        connection.close()


def _target(url: str) -> str:
    """Return a URL without scheme and host; a path stays as it is."""
    if not url.startswith(("http://", "https://")):
        return url
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")
