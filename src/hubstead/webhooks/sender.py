"""Sends POST requests to webhook receivers, and refuses special addresses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from importlib.metadata import version

import httpx2
import msgspec

from hubstead.webhooks.public_addresses import is_public


class PostResult(msgspec.Struct, frozen=True):
    """The result of a POST: the status of the response, or an error."""

    status: int | None = None
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Tell whether the receiver accepted the request: status 2xx."""
        return self.status is not None and 200 <= self.status < 300


class _Refused(httpx2.TransportError):
    """The settings refuse the address."""


class Sender:
    """Sends webhooks; call ``close`` at the end.

    It follows no redirects, reads no response bodies, uses no proxies of the environment, and
    reuses no connections (so that it checks the address of every request).

    Args:
        timeout_s: The timeout of a POST in seconds, from the DNS lookup to the response headers.
        private_networks: Whether loopback, private and other special addresses may be called.
        is_public: Tells whether an address is none of these.
    """

    def __init__(
        self,
        *,
        timeout_s: float = 10.0,
        private_networks: bool = True,
        is_public: Callable[[str], bool] = is_public,
    ) -> None:
        self._timeout_s = timeout_s
        self._may_call = _any_address if private_networks else is_public
        self._agent = f"hubstead/{version('hubstead')}"
        self._client: httpx2.AsyncClient | None = None  # reading certificates takes 20 ms

    async def post(self, url: str, body: str, secret: str | None) -> PostResult:
        """POST the JSON text ``body`` to ``url``; return errors as results, raise none."""
        headers = {"Content-Type": "application/json", "User-Agent": self._agent}
        if secret is not None:
            headers["X-Webhook-Secret"] = secret
        client = self._open_client()
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                client.stream("POST", url, content=body.encode(), headers=headers) as response,
            ):
                status = response.status_code
        except TimeoutError:
            return PostResult(error=f"no answer within {self._timeout_s:g} seconds")
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            return PostResult(error=f"{type(error).__name__.lstrip('_')}: {error}")
        result = PostResult(status)
        return result if result.ok else PostResult(status, f"the receiver answered {status}")

    def _open_client(self) -> httpx2.AsyncClient:
        if self._client is None:
            self._client = httpx2.AsyncClient(
                transport=_Guarded(self._may_call),
                timeout=None,  # ``post`` limits the total time
                follow_redirects=False,
                trust_env=False,
            )
        return self._client

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()


class _Guarded(httpx2.AsyncBaseTransport):
    """Resolves the host name itself, and connects to the addresses that it has checked.

    If the client resolved the name after the check, the name could change its address in between.
    """

    def __init__(self, may_call: Callable[[str], bool]) -> None:
        self._may_call = may_call
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
        self._transport = httpx2.AsyncHTTPTransport(limits=limits)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.raw_host.decode("ascii")
        addresses = await self._addresses(host, request.url.port or 0)
        for address in addresses[:-1]:
            try:
                return await self._transport.handle_async_request(
                    _with_address(request, host, address)
                )
            except httpx2.ConnectError:
                continue
        return await self._transport.handle_async_request(
            _with_address(request, host, addresses[-1])
        )

    async def _addresses(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpx2.ConnectError(f"{host} has no address: {error}") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in infos))
        if not all(map(self._may_call, addresses)):
            raise _Refused(f"{host} is no public address (webhook_private_networks)")
        return addresses

    async def aclose(self) -> None:
        await self._transport.aclose()


def _with_address(request: httpx2.Request, host: str, address: str) -> httpx2.Request:
    """Return the request with ``address`` in its URL; Host header and server name stay."""
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": host},
    )


def _any_address(_address: str) -> bool:
    return True
