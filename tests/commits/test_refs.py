"""Names of refs."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import hubstead
from hubstead.commits import RefKind, RefName

PREFIXES = ("refs/heads/", "refs/tags/", "refs/pr/", "refs/convert/")
SRC = Path(hubstead.__file__).parent
#: git's own branch name in the ``HEAD`` of a new folder, which nothing reads.
SKELETON = {"gitstore/store.py": ["ref: refs/heads/main\n"]}


@pytest.mark.parametrize(
    ("full", "kind", "short", "revision"),
    [
        ("refs/heads/main", RefKind.BRANCH, "main", "main"),
        ("refs/heads/feat/x", RefKind.BRANCH, "feat/x", "feat/x"),
        ("refs/tags/v1", RefKind.TAG, "v1", "v1"),
        ("refs/pr/1", RefKind.PULL, "1", "refs/pr/1"),
        ("refs/convert/parquet", RefKind.CONVERT, "parquet", "refs/convert/parquet"),
        ("refs/notes/x", RefKind.OTHER, "refs/notes/x", "refs/notes/x"),
        ("main", RefKind.OTHER, "main", "main"),
        ("refs/heads/refs/heads/x", RefKind.BRANCH, "refs/heads/x", "refs/heads/x"),
        ("refs/tags/refs/heads/x", RefKind.TAG, "refs/heads/x", "refs/heads/x"),
        ("refs/headsmain", RefKind.OTHER, "refs/headsmain", "refs/headsmain"),
    ],
)
def test_a_full_name_survives_a_round_trip(
    full: str, kind: RefKind, short: str, revision: str
) -> None:
    name = RefName.parse(full)
    assert (name.kind, name.short, name.full, name.revision) == (kind, short, full, revision)


def test_a_branch_and_a_tag_with_one_short_name_have_two_full_names() -> None:
    assert RefName.branch("refs/tags/v1").full == "refs/heads/refs/tags/v1"
    assert RefName.tag("v1").full == "refs/tags/v1"


def test_only_one_module_spells_the_namespaces_of_refs() -> None:
    spelt: dict[str, list[str]] = {}
    for path in SRC.rglob("*.py"):
        tree = ast.parse(path.read_text())
        docs = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Constant) or id(node) in docs:
                continue
            text = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
            if isinstance(text, str) and any(prefix in text for prefix in PREFIXES):
                spelt.setdefault(str(path.relative_to(SRC)), []).append(text)
    assert spelt.pop("commits/refs.py") == list(PREFIXES)
    assert spelt == SKELETON
