"""The icons of the pages: shapes on a grid of 16, drawn with a stroke (``.icon`` in the sheet)."""

from __future__ import annotations

import re

#: The shapes by name.
ICONS = {
    "bell": (
        '<path d="M3.4 11.4h9.2c-.9-1-1.3-2-1.3-3.8a3.3 3.3 0 0 0-6.6 0c0 1.8-.4 2.8-1.3 '
        '3.8zM6.7 13.6a1.5 1.5 0 0 0 2.6 0"/>'
    ),
    "branch": (
        '<circle cx="4.5" cy="3.6" r="1.6"/><circle cx="4.5" cy="12.4" r="1.6"/><circle '
        'cx="11.5" cy="5" r="1.6"/><path d="M4.5 5.2v5.6M11.5 6.6c0 2.6-7 1.4-7 4.2"/>'
    ),
    "chart": '<path d="M2.5 2.5v11h11M5 10.5l2.6-3.3 2.2 1.9L13 5"/>',
    "chat": (
        '<path d="M13.8 10.2a1.4 1.4 0 0 1-1.4 1.4H5.6l-3.4 2.6V3.6a1.4 1.4 0 0 1 1.4-1.4h'
        '8.8a1.4 1.4 0 0 1 1.4 1.4z"/>'
    ),
    "check": '<path d="m3.5 8.5 3 3 6-7"/>',
    "chevron": '<path d="m4 6 4 4 4-4"/>',
    "clock": '<circle cx="8" cy="8" r="6"/><path d="M8 4.6V8l2.3 1.6"/>',
    "commit": '<circle cx="8" cy="8" r="2.6"/><path d="M1.5 8h3.9M10.6 8h3.9"/>',
    "copy": (
        '<rect x="5.5" y="5.5" width="8" height="8" rx="1.6"/><path d="M10.5 3.2V3A1 1 0 0 0 9.5 '
        '2H3a1 1 0 0 0-1 1v6.5a1 1 0 0 0 1 1h.2"/>'
    ),
    "dataset": (
        '<ellipse cx="8" cy="3.8" rx="5.2" ry="2"/><path d="M2.8 3.8v8.4c0 1.1 2.3 2 5.2 '
        '2s5.2-.9 5.2-2V3.8M2.8 8c0 1.1 2.3 2 5.2 2s5.2-.9 5.2-2"/>'
    ),
    "download": '<path d="M8 2.2v8M4.8 7.3 8 10.4l3.2-3.1M2.8 13.5h10.4"/>',
    "edit": '<path d="m10.8 2.7 2.5 2.5-7.8 7.8-3.2.7.7-3.2zM9.3 4.2l2.5 2.5"/>',
    "eye": (
        '<path d="M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8z"/><circle cx="8" '
        'cy="8" r="1.9"/>'
    ),
    "file": (
        '<path d="M9.3 1.8H4.5A1.3 1.3 0 0 0 3.2 3v10a1.2 1.2 0 0 0 1.2 1.2h7.2a1.2 1.2 0 0 0 '
        '1.2-1.2V5.3zM9.3 1.8v3.5h3.5"/>'
    ),
    "filter": '<path d="M2.5 4h11M4.5 8h7M6.5 12h3"/>',
    "folder": (
        '<path d="M1.8 12.2V4a1.2 1.2 0 0 1 1.2-1.2h3.2l1.6 1.8H13A1.2 1.2 0 0 1 14.2 '
        '5.8v6.4a1.2 1.2 0 0 1-1.2 1.2H3a1.2 1.2 0 0 1-1.2-1.2z"/>'
    ),
    "gear": (
        '<circle cx="8" cy="8" r="2"/><path d="M8 1.8v1.7M8 12.5v1.7M14.2 8h-1.7M3.5 8H1.8M12.4 '
        '3.6l-1.2 1.2M4.8 11.2l-1.2 1.2M12.4 12.4l-1.2-1.2M4.8 4.8 3.6 3.6"/>'
    ),
    "heart": '<path d="M8 13.5S2 10 2 5.9A3 3 0 0 1 8 4.6a3 3 0 0 1 6 1.3C14 10 8 13.5 8 13.5z"/>',
    "home": '<path d="M2 7.5 8 2.5l6 5M3.8 6.3v7.2h8.4V6.3"/>',
    "image": (
        '<rect x="2" y="2.5" width="12" height="11" rx="1.8"/><circle cx="5.6" cy="6" r="1.2"/>'
        '<path d="m2.5 12 3.7-3.4 2.6 2.3L11.3 8l2.5 2.6"/>'
    ),
    "info": '<circle cx="8" cy="8" r="6"/><path d="M8 7.4v3.4M8 5.2h.01"/>',
    "key": '<circle cx="5" cy="11" r="2.8"/><path d="m7 9 6.2-6.2M10.8 5.2l2 2M9 7l1.5 1.5"/>',
    "link": (
        '<path d="M6.8 9.2a2.6 2.6 0 0 0 3.7 0l2-2a2.6 2.6 0 0 0-3.7-3.7l-.7.7M9.2 6.8a2.6 2.6 0 '
        '0 0-3.7 0l-2 2a2.6 2.6 0 0 0 3.7 3.7l.7-.7"/>'
    ),
    "lock": (
        '<rect x="3.2" y="7" width="9.6" height="6.8" rx="1.4"/><path d="M5.2 7V5a2.8 2.8 0 0 1 '
        '5.6 0v2"/>'
    ),
    "menu": '<path d="M2.5 4.5h11M2.5 8h11M2.5 11.5h11"/>',
    "merge": (
        '<circle cx="4.5" cy="3.6" r="1.6"/><circle cx="4.5" cy="12.4" r="1.6"/><circle '
        'cx="11.5" cy="9" r="1.6"/><path d="M4.5 5.2v5.6M4.7 5.2C5.5 8 7.5 9 9.9 9"/>'
    ),
    "model": (
        '<path d="M8 1.8 13.4 5v6L8 14.2 2.6 11V5z"/><path d="M2.6 5 8 8.1 13.4 5M8 8.1v6.1"/>'
    ),
    "moon": '<path d="M13.2 9.6A5.6 5.6 0 0 1 6.4 2.8a5.6 5.6 0 1 0 6.8 6.8z"/>',
    "more": '<path d="M3.5 8h.01M8 8h.01M12.5 8h.01"/>',
    "out": '<path d="M6.2 2.5H3.5a1 1 0 0 0-1 1v9a1 1 0 0 0 1 1h2.7M10 11l3-3-3-3M13 8H6"/>',
    "plus": '<path d="M8 3v10M3 8h10"/>',
    "search": '<circle cx="7" cy="7" r="4.5"/><path d="m10.5 10.5 3.5 3.5"/>',
    "shield": (
        '<path d="M8 1.8 13 3.6v4c0 3-2.1 5.4-5 6.6-2.9-1.2-5-3.6-5-6.6v-4z"/><path d="m5.8 8 '
        '1.6 1.6 2.9-3.1"/>'
    ),
    "space": (
        '<rect x="2" y="2.5" width="12" height="11" rx="2"/><path d="M2 6h12M4.4 4.3h.01M6.4 4.3h'
        '.01"/>'
    ),
    "stack": '<path d="m8 2 6 3-6 3-6-3zM2.5 8 8 10.8 13.5 8M2.5 11 8 13.8 13.5 11"/>',
    "sun": (
        '<circle cx="8" cy="8" r="2.8"/><path d="M8 1.5v1.3M8 13.2v1.3M14.5 8h-1.3M2.8 '
        '8H1.5M12.6 3.4l-.9.9M4.3 11.7l-.9.9M12.6 12.6l-.9-.9M4.3 4.3l-.9-.9"/>'
    ),
    "tag": '<path d="M2.5 2.5h5.2l6 6-5.2 5.2-6-6zM5.3 5.3h.01"/>',
    "terminal": (
        '<rect x="1.8" y="2.8" width="12.4" height="10.4" rx="1.6"/><path d="m4.5 6 2 2-2 2M8.5 '
        '10.2h3"/>'
    ),
    "text": '<path d="M3 4V3h10v1M8 3v10M6.3 13h3.4"/>',
    "trash": '<path d="M2.5 4.2h11M6 4V2.5h4V4M4 4.2l.6 9.3h6.8l.6-9.3M6.7 7v4M9.3 7v4"/>',
    "undo": '<path d="M5.5 3 2.5 6l3 3M2.8 6h6.4a3.9 3.9 0 0 1 0 7.8H6"/>',
    "user": (
        '<circle cx="8" cy="5.2" r="2.8"/><path d="M2.8 14c.5-2.8 2.5-4.3 5.2-4.3s4.7 1.5 5.2 '
        '4.3"/>'
    ),
    "users": (
        '<circle cx="6" cy="5.4" r="2.5"/><path d="M1.5 13.5c.4-2.5 2.1-3.8 4.5-3.8s4.1 1.3 4.5 '
        '3.8M10.6 3.2a2.5 2.5 0 0 1 0 4.5M12.2 10c1.3.6 2 1.8 2.3 3.5"/>'
    ),
    "warn": '<path d="M8 2 14.5 13.3h-13zM8 6.5v3M8 11.4h.01"/>',
    "wave": '<path d="M2 8h1.5M5 5v6M8 2.8v10.4M11 5.5v5M12.5 8H14"/>',
    "x": '<path d="m4.5 4.5 7 7M11.5 4.5l-7 7"/>',
}
_USED = re.compile(r'<use href="#i-([a-z0-9]+)"/>')


def icon_use(name: str, classes: str = "") -> str:
    """Return the HTML of an icon; ``with_sprite`` adds its shape to the page.

    Raises:
        KeyError: there is no such icon.
    """
    ICONS[name]  # a name that is wrong fails here, and not as an empty picture
    kind = f"icon {classes}".strip()
    use = f'<use href="#i-{name}"/>'
    return f'<svg class="{kind}" viewBox="0 0 16 16" aria-hidden="true">{use}</svg>'


def with_sprite(html: str) -> str:
    """Return a page with the shapes of the icons that it uses before the end of its body."""
    names = sorted(set(_USED.findall(html)) & set(ICONS))
    if not names:
        return html
    shapes = "".join(f'<g id="i-{name}">{ICONS[name]}</g>' for name in names)
    sprite = f'<svg width="0" height="0" class="sr" aria-hidden="true"><defs>{shapes}</defs></svg>'
    start, _, end = html.rpartition("</body>")
    return f"{start}{sprite}\n</body>{end}"
