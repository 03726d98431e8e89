"""The one allow-list of what HTML a card may contain."""

from __future__ import annotations

import nh3

#: Every id of a card begins with it, so that none meets an id of the page.
ID_PREFIX = "user-content-"
_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_TAGS = _HEADINGS | frozenset(
    "a abbr audio b bdi bdo blockquote br caption center cite code col colgroup dd del details dfn "
    "div dl dt em figcaption figure hr i img ins kbd li mark ol p picture pre q s samp section "
    "small source span strike strong sub summary sup table tbody td tfoot th thead time tr tt u ul "
    "var video wbr".split()
)
_ALIGN = frozenset(("left", "center", "right", "justify"))
_ALIGNED = _HEADINGS | frozenset(("p", "div", "td", "th", "tr", "img", "table", "center"))
_ATTRIBUTES = {
    "*": {"id", "title", "lang"},
    "a": {"href", "name"},
    "img": {"src", "alt", "width", "height"},
    "audio": {"src"},
    "video": {"src", "width", "height"},
    "source": {"src"},
    "ol": {"start", "reversed"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "details": {"open"},
    "time": {"datetime"},
}
_VALUES = {
    **{tag: {"align": set(_ALIGN)} for tag in _ALIGNED},
    "*": {"dir": {"ltr", "rtl", "auto"}},
}
_CLASSES = {
    "div": {"note", "warn", "bad"},
    "section": {"footnotes"},
    "ul": {"tasks"},
    "p": {"note-title"},
}
_SCHEMES = {"http", "https", "mailto"}
_CLEANER = nh3.Cleaner(
    tags=set(_TAGS),
    clean_content_tags={"script", "style", "template", "noscript", "iframe", "object", "title"},
    attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
    tag_attribute_values=_VALUES,
    allowed_classes=_CLASSES,
    url_schemes=_SCHEMES,
    link_rel="nofollow noopener ugc",
    id_prefix=ID_PREFIX,
)


def clean_html(text: str) -> str:
    """Return HTML without anything that the allow-list does not name.

    The result is written in one way: text has no ``<``, and attributes are ``name="value"``, so
    that a simple pattern reads its tags.
    """
    return _CLEANER.clean(text)
