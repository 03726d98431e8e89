"""The one place that calls other servers: a POST, its answer, and where it may not go."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterator
from importlib.metadata import version

import httpx2
import msgspec

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class PostResult(msgspec.Struct, frozen=True):
    """What came of a POST: a status, or the reason why there is none."""

    status: int | None = None
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Tell whether the receiver took it: 2xx and nothing else."""
        return self.status is not None and 200 <= self.status < 300


class _Refused(httpx2.TransportError):
    """The address is one that may not be called."""


class Sender:
    """Sends webhooks; ``close`` it in the end.

    Redirects are not followed, bodies of answers are not read, proxies of the environment are
    not used, and no connection serves twice (so each one's address is checked).

    Args:
        timeout_s: How long one POST may take, from looking up the name to the answer's head.
        private_networks: Whether loopback, private and other special addresses may be called.
    """

    def __init__(self, *, timeout_s: float = 10.0, private_networks: bool = True) -> None:
        self._timeout_s = timeout_s
        self._private_networks = private_networks
        self._agent = f"hubstead/{version('hubstead')}"
        self._client: httpx2.AsyncClient | None = None  # reading certificates takes 20 ms

    async def post(self, url: str, body: str, secret: str | None) -> PostResult:
        """POST the JSON text ``body`` to ``url`` and tell what came of it; raises nothing."""
        headers = {"Content-Type": "application/json", "User-Agent": self._agent}
        if secret is not None:
            headers["X-Webhook-Secret"] = secret
        client = self._opened()
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
        answer = PostResult(status)
        return answer if answer.ok else PostResult(status, f"the receiver answered {status}")

    def _opened(self) -> httpx2.AsyncClient:
        if self._client is None:
            self._client = httpx2.AsyncClient(
                transport=_Guarded(private_networks=self._private_networks),
                timeout=None,  # the whole is timed, not its steps
                follow_redirects=False,
                trust_env=False,
            )
        return self._client

    async def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            await self._client.aclose()


class _Guarded(httpx2.AsyncBaseTransport):
    """Looks the name up itself and connects to an address that it has checked.

    Checking first and leaving the look-up to the client would let a name change its address in
    between.
    """

    def __init__(self, *, private_networks: bool) -> None:
        self._private_networks = private_networks
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
        self._transport = httpx2.AsyncHTTPTransport(limits=limits)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.raw_host.decode("ascii")
        addresses = await self._addresses(host, request.url.port or 0)
        for address in addresses[:-1]:
            try:
                return await self._transport.handle_async_request(_to(request, host, address))
            except httpx2.ConnectError:
                continue
        return await self._transport.handle_async_request(_to(request, host, addresses[-1]))

    async def _addresses(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpx2.ConnectError(f"{host} has no address: {error}") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not self._private_networks and not all(map(is_public, addresses)):
            raise _Refused(f"{host} is no public address (webhook_private_networks)")
        return addresses

    async def aclose(self) -> None:
        await self._transport.aclose()


def _to(request: httpx2.Request, host: str, address: str) -> httpx2.Request:
    """Return the request for one address; the Host header and the certificate's name stay."""
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": host},
    )


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the open internet, and so is any that it wraps."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return all(each.is_global and not each.is_multicast for each in _unwrapped(parsed))


def _unwrapped(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    if isinstance(address, ipaddress.IPv4Address):
        yield address
    elif address.ipv4_mapped:
        yield address.ipv4_mapped
    else:
        yield address
        if address.sixtofour:
            yield address.sixtofour
        if address.teredo:
            yield from address.teredo
        if address in _NAT64:
            yield ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
