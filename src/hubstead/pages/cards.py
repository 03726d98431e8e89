"""Renders the Markdown files of repositories, in a lane and once per blob and place."""

from __future__ import annotations

from markupsafe import Markup

from hubstead.admission import Lane, run_in_lane
from hubstead.cards import split_card
from hubstead.commits import Revision
from hubstead.gitstore import GitRepo
from hubstead.pages.markup import (
    MAX_SOURCE_CHARACTERS,
    RENDERER_VERSION,
    CardPlace,
    render_markdown,
)
from hubstead.pages.render import path_in_url, segment_in_url
from hubstead.pages.repo_page import Line, line_of, root_of, text_of
from hubstead.wire import Request

#: A character of UTF-8 has at most four bytes.
_MAX_BYTES = 4 * MAX_SOURCE_CHARACTERS


class Card:
    """A Markdown file as HTML; as text if it could not be rendered within the limits."""

    def __init__(self, markup: str | None, text: str) -> None:
        self.html = None if markup is None else Markup(markup)  # noqa: S704 - sanitised
        self.text = text


async def card_at(request: Request, git: GitRepo, revision: Revision, path: str) -> Card | None:
    """Return a Markdown file of a revision, or None if it is absent, binary or too large."""
    entry = git.entry(revision.commit, path)
    if entry is None or entry.type != "blob":
        return None
    return await card_of(request, git, revision, line_of(git, entry))


async def card_of(request: Request, git: GitRepo, revision: Revision, line: Line) -> Card | None:
    """Return a Markdown file as HTML, or None if it is no text or too large."""
    text = await run_in_lane(Lane.READS, text_of, git, line, _MAX_BYTES)
    if text is None:
        return None
    place = place_of(request, revision, line.entry.path.rpartition("/")[0])
    return await run_in_lane(Lane.HISTORY, _render, git, line.entry.oid, text, place)


def place_of(request: Request, revision: Revision, folder: str) -> CardPlace:
    """Return where the addresses of a file in a folder lead."""
    return CardPlace(
        root=root_of(request),
        repo=path_in_url(request.repo.repo_id.web_path),
        revision=segment_in_url(revision.text),
        folder=folder,
        public_url=request.public_url,
        hosts=request.hub.settings.server.remote_card_images,
    )


def _render(git: GitRepo, oid: str, text: str, place: CardPlace) -> Card:
    _, body = split_card(text)
    name = f"card {RENDERER_VERSION} {oid} {place}"
    cached = git.recall(name)
    if cached is None:
        markup = render_markdown(body, place)
        # A first byte tells what could not be rendered from an empty card.
        cached = b"" if markup is None else b"1" + markup.encode("utf-8", "surrogateescape")
        git.remember(name, cached)
    markup = cached[1:].decode("utf-8", "surrogateescape") if cached else None
    return Card(markup, body)
