"""Cards become HTML that shows what was written and runs nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubstead.pages.markup import (
    MAX_SOURCE_CHARACTERS,
    CardPlace,
    highlight_lines,
    render_markdown,
)
from tests.pages.markup.hostile import HOSTILE

PLACE = CardPlace(
    root="/hub",
    repo="datasets/a/b",
    revision="refs%2Fpr%2F1",
    folder="docs",
    public_url="https://hub.example/hub",
    hosts=("img.example",),
)
BASE = "/hub/datasets/a/b"
NEVER = {"script", "style", "form", "input", "button", "iframe", "object", "embed", "base", "link"}
NEVER |= {"meta", "svg", "textarea", "select", "template", "frame", "dialog"}
PIECES = st.one_of(
    st.sampled_from(HOSTILE),
    st.sampled_from(["\n\n", "> ", "- [ ] ", "```html\n", "$", "$$\n", "|a|\n|-|\n|", "`", "<!--"]),
    st.text(alphabet="<>\"'=&;:/()[]!#`*_~|\\ \nabonxjs\x00\u202e", max_size=30),
)
SOURCES = st.lists(PIECES, max_size=12).map("".join)


class Elements(HTMLParser):
    """The tags and the attributes of a fragment, and whether they are balanced."""

    VOID = frozenset(("br", "hr", "img", "source", "wbr", "col"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.balanced = True
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.balanced &= bool(self.open) and self.open.pop() == tag

    def values(self, name: str) -> list[str]:
        return [value for _, key, value in self.attributes if key == name]


def rendered(text: str) -> str:
    result = render_markdown(text, PLACE, seconds=60)
    assert result is not None
    return result


def assert_harmless(result: str) -> None:
    elements = Elements(result)
    assert elements.balanced
    assert not elements.open
    assert not NEVER & set(elements.tags)
    for tag, name, value in elements.attributes:
        assert not name.startswith("on"), (tag, name)
        assert name not in {"style", "srcset", "srcdoc", "formaction", "xlink:href", "ping"}
        assert not name.startswith(("hx-", "data-"))
        if name in ("href", "src"):
            assert re.match(r"(https?://|mailto:|/hub/|#user-content-)", value), (tag, value)
        if name == "src" and not value.startswith("/hub/"):
            assert value.startswith(("https://img.example/", "https://hub.example/hub/"))
        if name == "class":
            assert value in {"note", "note warn", "note bad", "note-title", "tasks", "scroll"} | {
                "footnotes", "remote", "eq", "k", "s", "c", "f", "d", "warn", "bad"
            }  # fmt: skip
    ids = elements.values("id")
    assert len(ids) == len(set(ids))
    assert all(name.startswith("user-content-") for name in ids)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(SOURCES)
def test_no_source_becomes_a_script_a_form_or_a_foreign_image(text: str) -> None:
    assert_harmless(rendered(text))


@pytest.mark.parametrize("text", HOSTILE)
def test_known_attacks_do_nothing(text: str) -> None:
    for source in (
        text,
        f"> {text}",
        f"| {text} |\n|-|\n| {text} |",
        f"# {text}",
        f"a[^1]\n\n[^1]: {text}",
    ):
        assert_harmless(rendered(source))


def test_a_card_may_not_forge_the_parts_that_the_hub_writes() -> None:
    result = rendered("part0; part" + "0" * 32 + "x0;\n\n```\ncode\n```")
    assert "part0;" in result
    assert result.count("<code>") == 1


def test_links_and_images_lead_into_the_revision() -> None:
    text = "[a](x/y.md?z=1#H) [b](../LICENSE) [c](#Top) [d](/x) [e](//f.example) [g](../../../z)"
    text += " ![](i.png)"
    elements = Elements(rendered(text))
    assert elements.values("href") == [
        f"{BASE}/blob/refs%2Fpr%2F1/docs/x/y.md?z=1#H",
        f"{BASE}/blob/refs%2Fpr%2F1/LICENSE",
        "#user-content-Top",
        "/hub/x",
        "https://f.example",
    ]
    assert elements.values("src") == [f"{BASE}/resolve/refs%2Fpr%2F1/docs/i.png"]
    assert set(elements.values("rel")) == {"nofollow noopener ugc"}


def test_remote_images_are_shown_only_of_the_hosts_that_the_operator_named() -> None:
    text = "![one](https://evil.example/a.png) ![two](https://img.example/b.png) "
    text += '<img src="//evil.example/c">'
    result = rendered(text)
    assert Elements(result).values("src") == ["https://img.example/b.png"]
    assert "one (evil.example)" in result
    everything = CardPlace("", "a/b", "main", hosts=("*",))
    assert Elements(render_markdown(text, everything) or "").values("src") == [
        "https://evil.example/a.png",
        "https://img.example/b.png",
        "https://evil.example/c",
    ]


def test_headings_have_anchors_that_never_meet_the_page_s() -> None:
    result = rendered(
        '# Main & Co\n## Main & Co\n<a name="old"></a><p id="main">x</p><p id="main">y</p>'
    )
    assert Elements(result).values("id") == [
        "user-content-main--co",
        "user-content-main--co-1",
        "user-content-old",
        "user-content-main",
    ]


def test_what_cards_are_written_with_is_rendered() -> None:
    result = rendered(
        "> [!WARNING]\n> Hot\n\n- [x] done\n- [ ] open\n\n| a |\n|--:|\n| 1 |\n\n~~x~~ "
        "www.example.com note[^1]\n\n$$\n\\frac{1}{2}\n$$\n\n$\\unknown{$ 5$ "
        "<details><summary>More</summary></details>\n\n"
        "```python\ndef f(): return 'a<b'\n```\n\n[^1]: foot\n"
    )
    assert "<h3 " in rendered("## Second")  # the page has the only h1
    for piece in (
        '<div class="note warn">',
        '<span role="img" aria-label="done">☑</span>',
        '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>',
        '<td align="right">1</td>',
        "<s>x</s>",
        'href="http://www.example.com"',
        '<a href="#user-content-fn1"',
        "<mfrac>",
        "<details><summary>More</summary></details>",
        '<span class="k">def</span>',
        "a&lt;b",
    ):
        assert piece in result
    assert_harmless(result)


def test_what_is_too_long_or_takes_too_long_is_left_to_plain_text() -> None:
    assert render_markdown("a" * (MAX_SOURCE_CHARACTERS + 1), PLACE) is None
    assert render_markdown("*a **b " * 50_000, PLACE, seconds=0) is None


def test_code_is_escaped_line_by_line_in_every_language() -> None:
    text = "a = '<b>'\n'''two\nlines'''\n"
    for language in ("python", "json", "nonsense", "yaml", "html"):
        lines = highlight_lines(text, language)
        assert len(lines) == 3
        assert all(line.count("<span") == line.count("</span>") for line in lines)
        plain = [re.sub(r"</?span[^>]*>", "", line) for line in lines]
        assert plain[0].replace("&#x27;", "'") == "a = '&lt;b&gt;'"
    assert highlight_lines("x" * 6000, "python") == ["x" * 6000]
    assert highlight_lines("", "python") == [""]
