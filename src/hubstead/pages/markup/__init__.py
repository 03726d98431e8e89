"""Markup: Markdown as safe HTML, and code as highlighted lines.

Owns the allow-list of the sanitizer and the way from an address in a card to one of this hub.
Knows text and a place in a repository, no HTTP, no rows and no git.
"""

from hubstead.pages.markup.addresses import CardPlace
from hubstead.pages.markup.code import highlight_lines
from hubstead.pages.markup.limits import MAX_SOURCE_CHARACTERS, Deadline, TooSlow
from hubstead.pages.markup.markdown import RENDERER_VERSION, render_markdown

__all__ = [
    "MAX_SOURCE_CHARACTERS",
    "RENDERER_VERSION",
    "CardPlace",
    "Deadline",
    "TooSlow",
    "highlight_lines",
    "render_markdown",
]
