"""What the pages promise: their links lead somewhere, and make help tells of every target."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md")]
PAGES += list(ROOT.glob("changes/*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_fragments_hold_no_links_which_would_break_where_they_are_gathered() -> None:
    fragments = [page for page in ROOT.glob("changes/*.md") if page.name != "README.md"]
    assert [page.name for page in fragments if "](" in page.read_text()] == []


def test_every_decision_says_its_status_and_what_follows() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert pages
    for page in pages:
        assert re.search(r"^Status: (taken|replaced by \d{4})$", page.read_text(), re.M), page
        assert page.read_text().startswith(f"# {page.name[:4]}: "), page


def test_make_help_tells_of_every_target() -> None:
    targets = re.findall(r"^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(), re.M)
    command = ["make", "--no-print-directory", "help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert {line.split()[1] for line in shown.stdout.splitlines()} == set(targets)
