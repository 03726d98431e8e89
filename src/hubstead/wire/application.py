"""The ASGI application: dispatch requests to handlers, map errors to responses."""

from __future__ import annotations

import ipaddress
import random
import re
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import quote, unquote, urlsplit

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hubstead.accounts import Actor, require_writable
from hubstead.admission import Work, address_key
from hubstead.errors import (
    AccountMoved,
    ClientGone,
    HubError,
    LoginRequired,
    NotBuilt,
    NotFound,
    ReadOnly,
    RepoNotFound,
)
from hubstead.http import ON_GONE, Response, ResponseBroken, get_header, redirect
from hubstead.ids import Kind, RepoId
from hubstead.jobs import node_name
from hubstead.repos import RepoMoved, Right, open_repo
from hubstead.wire.cookies import session_secret
from hubstead.wire.credentials import identify, identify_browser
from hubstead.wire.error_page import ErrorPage, FailedRequest
from hubstead.wire.error_responses import RENDERERS, ErrorContext, ErrorResponse, error_response
from hubstead.wire.metrics import RequestMetrics
from hubstead.wire.origins import ForeignPage, Origins, WrongHost
from hubstead.wire.request import Hub, Request
from hubstead.wire.routing import Access, Match, Route, Router, encoded_path

_log = structlog.get_logger("hubstead.access")
_faults = structlog.get_logger("hubstead.faults")

#: Response headers that browsers may read (protocol/hub-api.md 2.10).
EXPOSED = (
    "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,"
    "Accept-Ranges,Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Access-Token,"
    "X-Xet-Token-Expiration,X-Xet-Refresh-Route,X-Xet-Cas-Url,X-Xet-Hash"
)
_PREFLIGHT = {
    "access-control-allow-methods": "GET,HEAD,POST,PUT,PATCH,DELETE",
    "access-control-allow-headers": (
        "authorization,content-type,range,accept,x-request-id,x-xet-session-id"
    ),
    "access-control-max-age": "86400",
}
#: What every response says: browsers must not guess another media type.
_EVERYWHERE = {"x-content-type-options": "nosniff"}
#: Load balancers ask these addresses by the number of a node.
_ANY_HOST = frozenset(("/healthz", "/readyz"))
#: git, LFS and Xet have no pages that send requests: they never take a cookie.
_WIRES_WITH_SESSIONS = frozenset(("pages", "hub_api"))
_CLIENT_ID = re.compile(r"[A-Za-z0-9._=;:-]{1,128}")


FailurePage: TypeAlias = Callable[[ErrorResponse, FailedRequest], Response]


class Application:
    """Dispatches requests to routes. Every error becomes a response here and only here.

    Args:
        hub: The services that handlers use.
        routes: The routes.
        failure_page: Draws the page of an error for browsers; without it they get JSON.
    """

    def __init__(
        self, hub: Hub, routes: Iterable[Route], *, failure_page: FailurePage | None = None
    ) -> None:
        self.hub = hub
        self._failure_page = failure_page
        self.router = Router(routes)
        hub.routes = self.router.routes
        self._trusted = [ipaddress.ip_network(net) for net in hub.settings.server.trusted_proxies]
        self._prefix = "/" + hub.settings.server.public_url.split("://")[-1].partition("/")[
            2
        ].strip("/")
        self._origins = Origins(hub.settings.server)
        self._metrics = RequestMetrics(hub.metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. ``app.py`` handles the lifespan: it opens and closes the services."""
        assert scope["type"] == "http"
        scope = self._behind_proxies(scope)
        work = self.hub.admission.begin(address_key((scope.get("client") or ("",))[0]))
        on_gone = scope.get("extensions", {}).get(ON_GONE)
        if on_gone is not None:
            on_gone(work.leave)
        with work.current():
            await self._serve(scope, receive, send, work)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, work: Work) -> None:
        sender = _Sender(scope, send, _request_id(scope), self._origins)
        started = time.perf_counter()
        route: Route | None = None
        request: Request | None = None
        try:
            path = self._path(scope)
            if path not in _ANY_HOST and not self._origins.serves_host(scope):
                raise WrongHost()
            match = self.router.match(path, scope["method"]) or self.router.match(path)
            route = _route(match, scope["method"])
            if match is None or route is None:
                response: ASGIApp = self._unrouted(match, path, scope, sender.request_id)
            else:
                request = Request(
                    self.hub, scope, receive, path=path, route=route, captured=match.captured
                )
                response = await self._handle(request, sender, work)
            await response(scope, receive, sender)
        except ClientGone:
            pass  # the client has disconnected
        except Exception as error:
            await self._fail(error, scope, receive, sender, route)
        finally:
            seconds = time.perf_counter() - started
            self._metrics.record(route, scope["method"], sender.status, seconds)
            log, more = (_log.error, sender.broken) if sender.broken else (_log.info, {})
            log(
                "request",
                method=scope["method"],
                path=scope["path"],  # never the query: it may contain a signature
                status=sender.status,
                ms=round(seconds * 1000, 2),
                bytes=sender.sent,
                user=request.actor.name if request else "",
                request_id=sender.request_id,
                **more,
            )

    async def _handle(self, request: Request, sender: _Sender, work: Work) -> ASGIApp:
        sender.headers = request.headers_out
        try:
            if self._origins.is_forged(request.scope, signs_in=request.route.signs_in):
                raise ForeignPage()
            if request.route.access is not Access.OPEN:
                request.actor = await self._identify(request)
                if request.actor.signed_in:
                    work.caller = f"account {request.actor.pk}"
            if isinstance(request.route.access, Right):
                request.repo = await open_repo(
                    self.hub.db, request.actor, _repo_id(request), request.route.access
                )
            elif request.route.access is Access.SIGNED_IN and not request.actor.signed_in:
                raise LoginRequired()
            if request.route.writes:
                self.hub.refuse_read_only()
            if request.route.own_change:
                require_writable(request.actor)
            return await request.route.handler(request)
        except HubError as error:
            if isinstance(error, RepoMoved):
                if isinstance(request.route.access, Right):
                    return redirect(_moved_to(request, error))
                error = RepoNotFound()  # the body has the old name: there is no URL to redirect to
            if isinstance(error, AccountMoved) and (url := _account_moved_to(request, error)):
                return redirect(url)
            return self._error_response(error, request, sender)

    async def _identify(self, request: Request) -> Actor:
        """Authenticate the caller; pages and the API take a browser's session, too."""
        scope = request.scope
        header = get_header(scope, "authorization")
        if header is not None or request.route.wire not in _WIRES_WITH_SESSIONS:
            return await identify(self.hub, header, (scope.get("client") or ("", 0))[0])
        secret = session_secret(scope, request.public_url)
        actor = await identify_browser(self.hub, secret)
        if actor.signed_in and not self._origins.is_own(scope):
            raise ForeignPage()
        return actor

    def _error_response(self, error: HubError, request: Request, sender: _Sender) -> Response:
        context = ErrorContext(
            signed_in=request.actor.signed_in,
            agent=request.headers.get("user-agent", ""),
            public_url=request.public_url,
            wire=request.route.wire,
            challenge=_challenge(request),
        )
        response = error_response(error, context)
        _log_fault(error, response, sender)
        failed = FailedRequest(
            request.scope,
            request.path,
            request.actor.name,
            request.public_url,
            sender.request_id,
        )
        return self._render(request.route.wire, response, failed)

    def _render(self, wire: str, response: ErrorResponse, failed: FailedRequest) -> Response:
        """Render an error as the clients of a wire read it."""
        rendered = RENDERERS[wire](response, failed.request_id)
        if wire != "pages" or self._failure_page is None:
            return rendered
        return ErrorPage(rendered, partial(self._failure_page, response, failed))

    def _unrouted(self, match: Match | None, path: str, scope: Scope, request_id: str) -> Response:
        method = scope["method"]
        if method == "OPTIONS":
            return Response(status=204, headers=_PREFLIGHT)
        if match is not None:
            allowed = ", ".join(sorted(match.routes))
            message = f"{method} is not allowed here: {allowed}"
            response = ErrorResponse(405, message, headers={"allow": allowed})
        else:
            error = NotFound(reason="Sorry, there is nothing at this address.")
            response = error_response(error, _ANONYMOUS_CONTEXT)
        return self._render(_likely_wire(path), response, self._failed(scope, request_id))

    def _failed(self, scope: Scope, request_id: str) -> FailedRequest:
        url = self.hub.settings.server.public_url
        return FailedRequest(scope, self._path(scope), "", url, request_id)

    async def _fail(
        self, error: Exception, scope: Scope, receive: Receive, sender: _Sender, route: Route | None
    ) -> None:
        wire = route.wire if route else _likely_wire(self._path(scope))
        if sender.status:
            # The response has begun: only the end of the connection reports the error.
            sender.broken = {"broken": repr(error), "node": node_name()}
            raise ResponseBroken from error
        if isinstance(error, HubError):  # the URL is invalid, or the first bytes cannot be read
            response = error_response(error, ErrorContext(False, "", "", wire))
            _log_fault(error, response, sender)
        else:
            _faults.exception("unexpected", request_id=sender.request_id, path=scope["path"])
            response = ErrorResponse(
                500, f"Internal error (request {sender.request_id}): see the log"
            )
        failed = self._failed(scope, sender.request_id)
        await self._render(wire, response, failed)(scope, receive, sender)

    def _path(self, scope: Scope) -> str:
        """Return the undecoded path below the public URL, with one slash at its start.

        Proxies may pass or strip the path prefix of the public URL; legacy clients put a second
        slash after an endpoint that ends in one.
        """
        raw = scope.get("raw_path") or quote(scope["path"]).encode()
        path = str(raw.partition(b"?")[0].decode("latin-1"))
        if self._prefix != "/" and f"{path}/".startswith(f"{self._prefix}/"):
            path = path[len(self._prefix) :]
        return "/" + path.lstrip("/")

    def _behind_proxies(self, scope: Scope) -> Scope:
        """Return the scope with the client address and scheme that trusted proxies report."""
        if not self._trusted or not self._is_trusted((scope.get("client") or ("",))[0]):
            return scope
        proxied = dict(scope)
        chain = (get_header(scope, "x-forwarded-for") or "").split(",")
        for hop in reversed([hop.strip() for hop in chain if hop.strip()]):
            proxied["client"] = (hop, 0)
            if not self._is_trusted(hop):
                break
        if get_header(scope, "x-forwarded-proto") in ("http", "https"):
            proxied["scheme"] = get_header(scope, "x-forwarded-proto")
        return proxied

    def _is_trusted(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in net for net in self._trusted)


class _Sender:
    """Adds the headers of every response; records its status and size."""

    def __init__(self, scope: Scope, send: Send, request_id: str, origins: Origins) -> None:
        self.request_id = request_id
        self.headers: dict[str, str] = {}
        self.status = 0
        self.sent = 0
        self.broken: dict[str, str] = {}  # why the response ended early, for the log
        self._send = send
        self._origin = get_header(scope, "origin")
        self._may_read = self._origin is not None and origins.may_read(self._origin)
        self._in_browser = get_header(scope, "sec-fetch-mode") is not None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message["headers"], *self._extra_headers(message)]
            if self._in_browser:  # it would ask its user for a password, in a window of its own
                headers = [line for line in headers if line[0] != b"www-authenticate"]
            message = {**message, "headers": headers}
        elif message["type"] == "http.response.body":
            self.sent += len(message.get("body", b""))
        else:
            self.sent += message.get("count", 0)
        await self._send(message)

    def _extra_headers(self, message: Message) -> list[tuple[bytes, bytes]]:
        present = {name for name, _ in message["headers"]}
        extra = {"x-request-id": self.request_id, **_EVERYWHERE, **self.headers}
        if self._origin is not None and self._may_read:
            extra["access-control-allow-origin"] = self._origin
            extra["access-control-expose-headers"] = EXPOSED
            extra["vary"] = "Origin, Accept"
        return [
            (name.encode(), value.encode("latin-1", "replace"))
            for name, value in extra.items()
            if name.encode() not in present
        ]


def _log_fault(error: HubError, response: ErrorResponse, sender: _Sender) -> None:
    """Log an error of the server; its text names the damaged object, if it is one."""
    if response.status >= 500 and not isinstance(error, (NotBuilt, ReadOnly)):  # no faults
        _faults.error(
            "refused",
            error=repr(error),
            status=response.status,
            node=node_name(),
            request_id=sender.request_id,
        )


def _request_id(scope: Scope) -> str:
    """Return the id of a request: the client's own ``X-Request-Id``, or a new one.

    A new id ends with the trace id that Python clients send (protocol/hub-api.md 2.4).
    """
    client_id = get_header(scope, "x-request-id")
    if client_id and _CLIENT_ID.fullmatch(client_id):
        return client_id
    number = random.getrandbits(96)  # unique; it need not be secret
    new_id = f"Root=1-{int(time.time()):x}-{number:024x}"
    trace = get_header(scope, "x-amzn-trace-id")
    return f"{new_id};{trace}" if trace and _CLIENT_ID.fullmatch(trace) else new_id


def _route(match: Match | None, method: str) -> Route | None:
    if match is None:
        return None
    return match.routes.get(method) or (match.routes.get("GET") if method == "HEAD" else None)


def _likely_wire(path: str) -> str:
    """Guess the wire of an unrouted path from its first segment; browsers are the default."""
    first = path.split("/", 2)[1]
    return {"api": "hub_api", "v2": "registry", "xet": "xet"}.get(first, "pages")


_ANONYMOUS_CONTEXT = ErrorContext(signed_in=False, agent="", public_url="", wire="hub_api")


def _challenge(request: Request) -> str:
    """Return the challenge of a 401 on the registry wire, where clients check its host."""
    if request.route.wire != "registry":
        return ""
    captured = (request.captured.get(part, "") for part in ("namespace", "name"))
    name = "/".join(quote(part) for part in captured if part)
    host = request.origin.partition("://")[2]
    scope = f',scope="repository:{name}:pull"' if name else ""
    return f'Bearer realm="{request.origin}/v2/token",service="{host}"{scope}'


def _repo_id(request: Request) -> RepoId:
    captured: dict[str, Any] = request.captured
    kind = captured.get("kind", Kind.MODEL)
    name = captured["name"]
    if request.route.wire in ("lfs", "git"):
        name = name.removesuffix(".git")
    return RepoId(kind, captured.get("namespace", ""), name)


def _moved_to(request: Request, moved: RepoMoved) -> str:
    """Return the relative URL of the same route under the new name (protocol/hub-api.md 2.7)."""
    segments = request.path.split("/")
    start, stop = _place_of_id(request, segments)
    name = request.captured["name"]
    suffix = ".git" if name != _repo_id(request).name else ""
    segments[start:stop] = [moved.target.owner, moved.target.name + suffix]
    return _at_segments(request, segments)


def _account_moved_to(request: Request, moved: AccountMoved) -> str | None:
    """Return the relative URL of the same route under an account's present name, if it has it."""
    segments = request.path.split("/")
    for at, segment in enumerate(segments):
        if unquote(segment) == moved.name and moved.name in request.captured.values():
            segments[at] = moved.target
            return _at_segments(request, segments)
    return None


def _at_segments(request: Request, segments: list[str]) -> str:
    query = quote(request.scope["query_string"], safe="&=+%")
    path = urlsplit(request.public_url).path + encoded_path("/".join(segments))
    return path + (f"?{query}" if query else "")


def _place_of_id(request: Request, segments: list[str]) -> tuple[int, int]:
    """Return where the id begins and ends among the undecoded segments of the path."""
    decoded = [unquote(segment) for segment in segments]
    parts = [request.captured[part] for part in ("namespace", "name") if part in request.captured]
    for at in range(len(decoded)):
        for spelling in (parts, ["/".join(parts)]):
            if decoded[at : at + len(spelling)] == spelling:
                return at, at + len(spelling)
    raise AssertionError("a path holds the id that was captured from it")
