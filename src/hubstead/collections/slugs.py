"""Slugs of collections: ``owner/words-of-the-title-<24 hex>``; only the hex names one."""

from __future__ import annotations

import re

_ID = re.compile(r"(?:^|-)([0-9a-f]{24})$")


def collection_slug(owner: str, title: str, object_id: str) -> str:
    """Return the slug of a collection with its present title."""
    words = re.sub(r"[^a-z0-9]+", "-", title.casefold()).strip("-")
    return f"{owner}/{words}-{object_id}" if words else f"{owner}/{object_id}"


def object_id_of(slug: str) -> str | None:
    """Return the id at the end of a slug, present or past; None if the text has none."""
    match = _ID.search(slug.rpartition("/")[2])
    return match[1] if match else None
