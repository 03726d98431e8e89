"""The documentation: its links resolve, and ``make help`` lists every target."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md")]
PAGES += list(ROOT.glob("changes/*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_resolves_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_fragments_have_no_links_since_the_changelog_would_break_them() -> None:
    fragments = [page for page in ROOT.glob("changes/*.md") if page.name != "README.md"]
    assert [page.name for page in fragments if "](" in page.read_text()] == []


def test_every_decision_has_a_status_and_consequences() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert pages
    for page in pages:
        assert re.search(r"^Status: (taken|replaced by \d{4})$", page.read_text(), re.M), page
        assert page.read_text().startswith(f"# {page.name[:4]}: "), page


def test_every_room_and_module_that_the_architecture_names_exists() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    names = set(re.findall(r"`((?:[a-z_0-9]+/)*(?:[a-z_0-9]+/|[a-z_0-9]+\.py))`", text))
    assert len(names) >= 40, "the pattern misses the names"
    source = ROOT / "src" / "hubstead"
    missing = {name for name in names if not (source / name).exists()}
    assert missing - {"src/hubstead/", "data/git/", "data/blobs/"} == set()


def test_the_architecture_shows_the_layers_of_the_import_contract() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = config["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["id"] == "layers"]
    checked = [re.findall(r"[a-z]+", layer) for layer in layers if layer != "(client)"]
    page = (ROOT / "docs" / "architecture.md").read_text()
    [drawn] = re.findall(r"```text\n(cli\n.*?)```", page, re.S)
    rooms = [re.findall(r"[a-z_]+", line.split("   ")[0]) for line in drawn.splitlines()]
    assert rooms == checked


def test_make_help_lists_every_target() -> None:
    targets = re.findall(r"^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(), re.M)
    command = ["make", "--no-print-directory", "help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert {line.split()[1] for line in shown.stdout.splitlines()} == set(targets)


CITED = re.compile(r"protocol/(?P<page>[a-z-]+)\.md (?P<section>[0-9]+(?:\.[0-9]+)?)")
#: A page of the protocol notes with a section behind it, however it is written.
ANY_CITATION = re.compile(
    r"\b(?:hub-api|legacy-clients|runtimes|xet)(?:\.md)?[`)]*,? (?:section )?[0-9]"
)


def _texts() -> list[Path]:
    """Return every file of the repository that may cite the protocol notes."""
    files = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    for folder in ("src", "tests", "benchmarks", "tools"):
        files += ROOT.glob(f"{folder}/**/*.py")
    return [path for path in files if path != Path(__file__)]


def test_every_cited_section_of_the_protocol_notes_exists() -> None:
    pages = {path.stem: path.read_text() for path in ROOT.glob("docs/protocol/*.md")}
    sections = {
        (page, number)
        for page, text in pages.items()
        for number in re.findall(r"^#{2,3} ([0-9]+(?:\.[0-9]+)?)\.? ", text, re.M)
    }
    cited = {
        (match["page"], match["section"]): str(path.relative_to(ROOT))
        for path in _texts()
        for match in CITED.finditer(path.read_text())
    }
    assert len(cited) >= 20, "the pattern misses the citations"
    assert {where: by for where, by in cited.items() if where not in sections} == {}


def test_citations_of_the_protocol_notes_have_one_form() -> None:
    others = {
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in _texts()
        for line in path.read_text().splitlines()
        if len(ANY_CITATION.findall(line)) != len(CITED.findall(line))
    }
    assert others == set()
