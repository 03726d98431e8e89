"""Binds the addresses in sanitised HTML to a revision of a repository."""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from hubstead.pages.markup.limits import Deadline
from hubstead.pages.markup.sanitizer import ID_PREFIX

_TAG = re.compile(r'<(/?)([a-z0-9]+)((?: [a-z-]+="[^"]*")*)>')
_ATTRIBUTE = re.compile(r' ([a-z-]+)="([^"]*)"')
_SKIPPED = re.compile(r"^[\x00-\x20]+|[\x00-\x20]+$|[\t\r\n\0]")
_EXTERNAL = ("http://", "https://")
_MEDIA = frozenset(("img", "audio", "video", "source"))
#: The page itself has the only heading of the first level.
_LOWER_HEADINGS = {f"h{level}": f"h{level + 1}" for level in range(1, 6)}
ALL_HOSTS = "*"


@dataclass(frozen=True)
class CardPlace:
    """Where a card stands: its addresses are relative to it.

    ``root`` is the path prefix of the hub's links, ``repo`` the repository's path behind it,
    ``revision`` one encoded segment, ``folder`` the file's folder (without slashes around it),
    and ``hosts`` those that may send images, of which ``*`` is all. ``public_url`` is the hub's.
    """

    root: str
    repo: str
    revision: str
    folder: str = ""
    public_url: str = ""
    hosts: tuple[str, ...] = ()

    def file(self, address: str, view: str) -> str | None:
        """Return the address of a file of the revision, or None if it leaves the repository."""
        try:
            parts = urlsplit(address)
        except ValueError:
            return None
        path = posixpath.normpath(posixpath.join(self.folder, unquote(parts.path)))
        if path.startswith("..") or "\0" in path:
            return None
        base = f"{self.root}/{self.repo}"
        if path in (".", ""):
            return f"{base}/tree/{self.revision}"
        query = f"?{quote(parts.query, safe='=&%+')}" if parts.query else ""
        fragment = f"#{quote(parts.fragment, safe='%')}" if parts.fragment else ""
        return f"{base}/{view}/{self.revision}/{quote(path)}{query}{fragment}"

    def shows_image(self, address: str) -> bool:
        """Whether an image of another server may be shown."""
        hosts = self.hosts
        if self.public_url and address.startswith(f"{self.public_url}/"):
            return True
        return ALL_HOSTS in hosts or host_of(address) in hosts


def bind_addresses(text: str, place: CardPlace, deadline: Deadline) -> str:
    """Return sanitised HTML whose links and images lead into the revision.

    A relative link becomes one to the page of the file, a relative image its bytes; a fragment
    gets the prefix of ids; an image of another server becomes its address, unless the place shows
    it. Headings go down one level, tables get a box that scrolls, and an id that comes twice stays
    once.

    Raises:
        TooSlow: the deadline has passed.
    """
    binder = _Binder(place, deadline)
    return _TAG.sub(binder.tag, text)


class _Binder:
    def __init__(self, place: CardPlace, deadline: Deadline) -> None:
        self._place = place
        self._deadline = deadline
        self._ids: set[str] = set()

    def tag(self, match: re.Match[str]) -> str:
        closes, name, rest = match.groups()
        self._deadline.check()
        name = _LOWER_HEADINGS.get(name, name)
        if closes:
            return "</table></div>" if name == "table" else f"</{name}>"
        attributes = {key: html.unescape(value) for key, value in _ATTRIBUTE.findall(rest)}
        if not attributes.get("class", "x"):
            del attributes["class"]  # the sanitizer leaves it empty
        self._names(attributes)
        if name in _MEDIA:
            return self._media(name, attributes)
        if name == "a" and "href" in attributes:
            self._link(attributes)
        written = _written(name, attributes)
        if name == "table":
            return f'<div class="scroll" tabindex="0" role="region" aria-label="Table">{written}'
        return written.replace("<pre", '<pre tabindex="0"', 1) if name == "pre" else written

    def _names(self, attributes: dict[str, str]) -> None:
        """Keep one element per id; old anchors have a name instead."""
        name = attributes.pop("name", None)
        wanted = attributes.pop("id", None) or (f"{ID_PREFIX}{name}" if name else None)
        if wanted and wanted not in self._ids and not re.search(r"\s", wanted):
            self._ids.add(wanted)
            attributes["id"] = wanted

    def _link(self, attributes: dict[str, str]) -> None:
        address = _as_browsers_read(attributes["href"])
        if address.startswith("#"):
            attributes["href"] = f"#{ID_PREFIX}{address[1:].removeprefix(ID_PREFIX)}"
        elif address.startswith((*_EXTERNAL, "mailto:")):
            attributes["href"] = address
        elif address.startswith("/"):
            attributes["href"] = f"{self._place.root}{address}"
        else:
            self._put(attributes, "href", self._place.file(address, "blob"))

    def _media(self, name: str, attributes: dict[str, str]) -> str:
        address = _as_browsers_read(attributes.get("src", ""))
        if address.startswith(_EXTERNAL):
            if not self._place.shows_image(address):
                if name == "img":
                    return _blocked(address, attributes)
                address = ""
        elif address.startswith("/"):
            address = f"{self._place.root}{address}"
        elif address:
            address = self._place.file(address, "resolve") or ""
        self._put(attributes, "src", address or None)
        if name == "img":
            attributes |= {"loading": "lazy", "alt": attributes.get("alt", "")}
        elif name != "source":
            attributes |= {"controls": "", "preload": "metadata"}
        return _written(name, attributes)

    @staticmethod
    def _put(attributes: dict[str, str], name: str, address: str | None) -> None:
        if address is None:
            attributes.pop(name, None)
        else:
            attributes[name] = address


def host_of(address: str) -> str:
    """Return the host of an address in lower case, or an empty string."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _as_browsers_read(address: str) -> str:
    """Return an address without what browsers skip, and with the scheme that ``//`` leaves out."""
    plain = _SKIPPED.sub("", address)
    if not plain.startswith("#"):
        plain = plain.replace("\\", "/")
    return f"https:{plain}" if plain.startswith("//") else plain


def _blocked(address: str, attributes: Mapping[str, str]) -> str:
    """Return what stands for an image that is not shown: its text, and where it is."""
    label = attributes.get("alt") or "image"
    host = host_of(address) or address
    shown = html.escape(f"{label} ({host})")
    return f'<span class="remote" title="{html.escape(address)}"><bdi>{shown}</bdi></span>'


def _written(name: str, attributes: Mapping[str, str]) -> str:
    pairs = "".join(f' {key}="{html.escape(value)}"' for key, value in attributes.items())
    return f"<{name}{pairs}>"
