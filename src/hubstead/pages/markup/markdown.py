"""Renders Markdown as GitHub and the Hub understand it to HTML that is safe to show."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.gfm import gfm_plugin

from hubstead.pages.markup.addresses import CardPlace, bind_addresses
from hubstead.pages.markup.code import highlight_lines
from hubstead.pages.markup.formulas import formula_html
from hubstead.pages.markup.limits import MAX_SOURCE_CHARACTERS, Deadline, TooSlow
from hubstead.pages.markup.sanitizer import clean_html

#: It changes with the HTML that the same source becomes: caches have it in their keys.
RENDERER_VERSION = 1
#: The longest that a card may take; a typical one takes 14 ms.
RENDER_SECONDS = 5.0
_MAX_NESTING = 40
Tokens = Sequence[Token]
_WARNINGS = {"warning": "warn", "caution": "bad"}
_HEADING_PUNCTUATION = re.compile(r"[^\w\- ]")


def render_markdown(text: str, place: CardPlace, *, seconds: float = RENDER_SECONDS) -> str | None:
    """Return Markdown as HTML, without script, form, style and foreign images.

    What it may contain is the allow-list of ``sanitizer``, plus code and formulas that this hub
    writes. It blocks: run it in ``Lane.HISTORY``.

    Args:
        text: The source, without front matter.
        place: Where it stands.
        seconds: The longest that it may take.

    Returns:
        The HTML, or None if the source is too long, or takes too long: show it as text.
    """
    if len(text) > MAX_SOURCE_CHARACTERS:
        return None
    rendering = _Rendering(Deadline(seconds))
    try:
        dirty = rendering.markdown.render(text.replace("\0", "\N{REPLACEMENT CHARACTER}"))
        bound = bind_addresses(clean_html(dirty), place, rendering.deadline)
        return rendering.with_parts(bound)
    except (TooSlow, RecursionError):
        return None


class _Rendering:
    """One rendering: its parser, its deadline, and the parts that this hub writes itself.

    Such a part passes the sanitizer as a word that no source can know, and replaces it afterwards.
    """

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self._word = f"part{secrets.token_hex(16)}x"
        self._parts: list[str] = []
        self._slugs: dict[str, int] = {}
        self.markdown = self._parser()

    def _parser(self) -> MarkdownIt:
        markdown = MarkdownIt("commonmark", {"html": True, "maxNesting": _MAX_NESTING})
        gfm_plugin(markdown)
        markdown.use(dollarmath_plugin, allow_space=False, allow_digits=False, allow_labels=False)
        # A rule that matches nothing, and is asked at every line and every piece of text.
        markdown.block.ruler.before("table", "deadline", self._block_check, {"alt": ["paragraph"]})
        markdown.inline.ruler.before("text", "deadline", self._inline_check)
        markdown.core.ruler.push("prepare", self._prepare)
        renderer = markdown.renderer
        assert isinstance(renderer, RendererHTML)
        rules: dict[str, Any] = {
            "fence": self._code,
            "code_block": self._code,
            "math_inline": self._math,
            "math_block": self._math,
            "list_item_open": self._item,
        }
        renderer.rules.update(rules)
        return markdown

    def part(self, trusted: str) -> str:
        """Return the word that stands for HTML of ours."""
        self._parts.append(trusted)
        return f"{self._word}{len(self._parts) - 1};"

    def with_parts(self, text: str) -> str:
        """Replace all words by what they stand for."""
        return re.sub(f"{self._word}(\\d+);", lambda match: self._parts[int(match[1])], text)

    def _block_check(self, _state: StateBlock, _start: int, _end: int, _silent: bool) -> bool:
        self.deadline.check()
        return False

    def _inline_check(self, _state: StateInline, _silent: bool) -> bool:
        self.deadline.check()
        return False

    def _prepare(self, state: StateCore) -> None:
        """Give headings their ids, cells their sides, and alerts and tasks our own classes."""
        for at, token in enumerate(state.tokens):
            self.deadline.check()
            if token.type == "heading_open":
                token.attrSet("id", self._slug(state.tokens[at + 1].content))
            elif token.type in ("th_open", "td_open"):
                style = str(token.attrs.pop("style", ""))
                if style:
                    token.attrSet("align", style.removeprefix("text-align:"))
            elif "class" in token.attrs:
                _rename_classes(token)

    def _slug(self, title: str) -> str:
        plain = _HEADING_PUNCTUATION.sub("", title.strip().lower()).replace(" ", "-") or "section"
        count = self._slugs.get(plain, 0)
        self._slugs[plain] = count + 1
        return f"{plain}-{count}" if count else plain

    def _item(self, tokens: Tokens, at: int, _options: OptionsDict, _env: EnvType) -> str:
        if "checked" not in tokens[at].meta:
            return "<li>"
        sign, label = ("☑", "done") if tokens[at].meta["checked"] else ("☐", "to do")
        return f"<li>{self.part(_sign(sign, label))}"

    def _code(self, tokens: Tokens, at: int, _options: OptionsDict, _env: EnvType) -> str:
        language = (tokens[at].info.split(maxsplit=1) or [""])[0]
        lines = "\n".join(highlight_lines(tokens[at].content, language, self.deadline))
        return f"<pre>{self.part(f'<code>{lines}</code>')}</pre>\n"

    def _math(self, tokens: Tokens, at: int, _options: OptionsDict, _env: EnvType) -> str:
        self.deadline.check()
        block = tokens[at].type == "math_block"
        formula = formula_html(tokens[at].content, block=block)
        if block:
            formula = f'<div class="eq" tabindex="0">{formula}</div>'
            return f"<div>{self.part(formula)}</div>\n"
        return self.part(formula)


def _sign(sign: str, label: str) -> str:
    return f'<span role="img" aria-label="{label}">{sign}</span> '


def _rename_classes(token: Token) -> None:
    """Put our class in the place of the parser's, so that the allow-list has no others."""
    names = str(token.attrs.pop("class")).split()
    if token.type == "alert_open":
        kind = names[-1].rpartition("-")[2]
        token.attrSet("class", f"note {_WARNINGS.get(kind, '')}".strip())
    elif token.type == "alert_title_open":
        token.attrSet("class", "note-title")
    elif "contains-task-list" in names:
        token.attrSet("class", "tasks")
