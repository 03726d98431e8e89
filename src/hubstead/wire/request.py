"""The request that handlers get: its actor, repository, path, query and body."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import msgspec
from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from hubstead.accounts import Actor, HubSigner, LastUse, Passwords, SignIn
from hubstead.admission import Admission, Lane, buffer_bytes, run_in_lane
from hubstead.blobs import BlobStore
from hubstead.commits import Revision, Storage, resolve_revision, split_revision
from hubstead.db import Database
from hubstead.errors import InvalidInput, ReadOnly, RepoNotFound
from hubstead.facts import FactReader
from hubstead.gitstore import GitRepo
from hubstead.http import inflating, read_body
from hubstead.jobs import NodeClock
from hubstead.metrics import Metrics
from hubstead.registry import RegistryView
from hubstead.repos import Repo
from hubstead.settings import Settings
from hubstead.wire.origins import parse_address
from hubstead.wire.routing import Captured, Route

T = TypeVar("T")

_HOST = re.compile(r"[A-Za-z0-9._~-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")
#: Bytes of the objects that one byte of JSON may become, at least.
_JSON_OBJECTS = 4
#: Longer JSON is decoded in a thread.
_INLINE_JSON_BYTES = 1 << 16
_TRUE = frozenset(("1", "true", "True", "TRUE", "yes", "on", ""))
_FALSE = frozenset(("0", "false", "False", "FALSE", "no", "off", "None", "null"))


@dataclass
class Hub:
    """The services that handlers use; ``app.py`` builds it once."""

    settings: Settings
    stores: Storage
    passwords: Passwords
    sign_in: SignIn
    signer: HubSigner
    clock: NodeClock
    metrics: Metrics = field(default_factory=Metrics)
    admission: Admission = field(default_factory=Admission)
    last_use: LastUse = field(default_factory=LastUse)
    #: Set while the server drains or has not finished starting.
    unavailable: str | None = None
    #: The bound port; 0 before the server binds one.
    port: int = 0
    #: All routes, for the OpenAPI document.
    routes: tuple[Route, ...] = ()
    #: Facts in the headers of model files.
    facts: FactReader = field(init=False)
    #: GGUF models as runtimes pull them.
    registry: RegistryView = field(init=False)

    def __post_init__(self) -> None:
        self.facts = FactReader(self.stores)
        self.registry = RegistryView(self.stores, self.facts)

    @property
    def db(self) -> Database:
        """The database."""
        return self.stores.db

    def refuse_read_only(self) -> None:
        """Refuse a write of a client while the hub is read-only.

        Raises:
            ReadOnly: the setting ``read_only`` is on.
        """
        if self.settings.server.read_only:
            raise ReadOnly(reason=self.settings.server.read_only_message)

    @property
    def blobs(self) -> BlobStore:
        """The store of blobs."""
        return self.stores.blobs


class QueryParams:
    """The query parameters, parsed as leniently as the Hub does (protocol/hub-api.md 2.11)."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name.removesuffix("[]"), []).append(value)

    @classmethod
    def parse(cls, text: str) -> QueryParams:
        """Read ``a=1&b=2``; ``a[]`` means ``a``."""
        try:
            return cls(parse_qsl(text, keep_blank_values=True, max_num_fields=5000))
        except ValueError:
            raise InvalidInput(reason="the query has too many fields") from None

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield every name with each of its values, empty ones included."""
        for name, values in self._values.items():
            yield from ((name, value) for value in values)

    def all(self, name: str) -> list[str]:
        """Return every value given for ``name``, empty ones left out."""
        return [value for value in self._values.get(name, ()) if value]

    def one(self, name: str) -> str | None:
        """Return the last value given for ``name``, or None."""
        return self.all(name)[-1] if self.all(name) else None

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a boolean; a name without a value is True.

        Raises:
            InvalidInput: the value is no boolean.
        """
        values = self._values.get(name)
        if not values:
            return default
        if values[-1] in _TRUE:
            return True
        if values[-1] in _FALSE:
            return False
        raise InvalidInput(reason=f'"{name}" must be a boolean')

    def number(self, name: str, default: int, *, least: int = 0, most: int | None = None) -> int:
        """Return an integer, at most ``most``.

        Raises:
            InvalidInput: the value is no integer, or below ``least``.
        """
        text = self.one(name)
        if text is None or text == "None":
            return default
        if not (text.isascii() and text.lstrip("-").isdigit() and len(text) < 19):
            raise InvalidInput(reason=f'"{name}" must be a number')
        value = int(text)
        if value < least:
            raise InvalidInput(reason=f'"{name}" must be at least {least}')
        return value if most is None else min(value, most)


class Request:
    """One request, its route, and the repository that the route opened."""

    def __init__(
        self,
        hub: Hub,
        scope: Scope,
        receive: Receive,
        *,
        path: str,
        route: Route,
        captured: Captured,
    ) -> None:
        self.hub = hub
        self.scope = scope
        self.receive = receive
        self.path = path  # undecoded, below ``public_url``
        self.route = route
        self.captured = captured
        self.actor = Actor()
        self._repo: Repo | None = None
        self._git: GitRepo | None = None
        #: Headers to add to the response, errors included.
        self.headers_out: dict[str, str] = {}

    @property
    def method(self) -> str:
        """GET, HEAD, …"""
        return str(self.scope["method"])

    @cached_property
    def headers(self) -> Headers:
        """The request's headers."""
        return Headers(scope=self.scope)

    @cached_property
    def query(self) -> QueryParams:
        """The request's query."""
        return QueryParams.parse(self.scope["query_string"].decode("latin-1"))

    def text(self, name: str) -> str:
        """Return the path segment captured at ``{name}``."""
        return str(self.captured[name])

    def segments(self, name: str) -> list[str]:
        """Return the path segments captured at ``{name+}`` or ``{name*}``."""
        return list(self.captured.get(name, ()))

    @property
    def repo(self) -> Repo:
        """The repository of the path, opened with the right that the route requires."""
        if self._repo is None:
            raise RepoNotFound()
        return self._repo

    @repo.setter
    def repo(self, repo: Repo) -> None:
        self._repo = repo

    @cached_property
    def public_url(self) -> str:
        """The prefix of absolute links for this client, without a trailing slash.

        The setting if there is one, else the address of the socket; the Host header counts
        only if it is a known name of this machine.
        """
        return self.hub.settings.server.public_url or _own_address(self.scope, self.headers)

    @cached_property
    def origin(self) -> str:
        """Scheme and host as this client addressed the hub, where it must get them back unchanged.

        Other links begin with ``public_url``. A Host that is no host name counts as none.
        """
        host = self.headers.get("host") or ""
        public = urlsplit(self.public_url)
        if host == public.netloc or not _HOST.fullmatch(host):
            return f"{public.scheme}://{public.netloc}"
        return f"{self.scope.get('scheme', 'http')}://{host}"

    async def git(self) -> GitRepo:
        """Return the git objects of the repository."""
        if self._git is None:
            self._git = await self.hub.stores.open_git(self.repo)
        return self._git

    async def revision(self, text: str) -> Revision:
        """Resolve a revision of the repository and fetch its packs; set ``X-Repo-Commit``."""
        git = await self.git()
        revision = await resolve_revision(self.hub.stores, self.actor, self.repo, git, text)
        await self.hub.stores.fetch_missing_packs(self.repo, [revision.commit])
        self.headers_out["x-repo-commit"] = revision.commit
        return revision

    async def split(self, name: str) -> tuple[str, str]:
        """Split the segments captured at ``{name+}`` into revision and path."""
        return await split_revision(
            self.hub.stores, self.repo, await self.git(), self.segments(name)
        )

    async def body(self, limit: int | None = None) -> bytes:
        """Return the request's body, inflated if the client compressed it.

        Raises:
            TooLarge: the body exceeds ``limit`` bytes, by default ``max_json_body_bytes``.
        """
        scope, receive = inflating(self.scope, self.receive)
        most = self.hub.settings.requests.max_json_body_bytes if limit is None else limit
        setting = "max_json_body_bytes" if limit is None else "the limit of this address"
        return await read_body(scope, receive, limit=most, setting=setting)

    async def json(self, shape: type[T], limit: int | None = None) -> T:
        """Return the JSON body as ``shape``; an empty body counts as ``{}``.

        Unknown fields are ignored, null is taken for absent where a field allows it.

        Raises:
            InvalidInput: the body is not JSON, or of another shape.
        """
        data = await self.body(limit)
        if limit is None:
            buffer_bytes(_JSON_OBJECTS * len(data))
        if len(data) <= _INLINE_JSON_BYTES:
            return _decode(data, shape)
        return await run_in_lane(Lane.DIGESTS, _decode, data, shape)

    async def fields(self) -> dict[str, Any]:
        """Return the fields of a form or JSON body; values of a form are lists."""
        kind = (self.headers.get("content-type") or "").partition(";")[0].strip().lower()
        if kind == "application/x-www-form-urlencoded":
            text = (await self.body()).decode("utf-8", "replace")
            parsed = QueryParams.parse(text)
            return {name: parsed.all(name) for name in parsed._values}
        return await self.json(dict[str, Any])


def _decode(data: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(data.strip() or b"{}", type=shape, strict=False)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise InvalidInput(reason=f"the body is not what it should be: {error}") from None
    except RecursionError:
        raise InvalidInput(reason="the body is nested too deeply") from None


def _own_address(scope: Scope, headers: Headers) -> str:
    address, port = (scope.get("server") or ("127.0.0.1", 80))[:2]
    scheme = scope.get("scheme", "http")
    header = headers.get("host") or ""
    host = parse_address(f"{scheme}://{header}")
    if host.port == port and _names_this_machine(host.host, address):
        return f"{scheme}://{urlsplit(f'//{header}').netloc}"
    shown = f"[{address}]" if ":" in str(address) else address
    return f"{scheme}://{shown}:{port}"


def _names_this_machine(name: str, address: str) -> bool:
    if name == address or name.lower() in _machine_names():
        return True
    return name.lower() == "localhost" and ipaddress.ip_address(address).is_loopback


def _machine_names() -> set[str]:
    return {socket.gethostname().lower()}
