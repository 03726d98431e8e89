"""The pages of a repository show its card, files and history to those who may read them."""

from __future__ import annotations

import base64
import json
import re
import struct
from dataclasses import dataclass

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete

from hubstead.pages.files import FOLDER_PAGE
from tests.pages.test_pages import Elements
from tests.support.hub import ThreadHub
from tests.support.models import gguf
from tests.support.person import Person
from tests.support.round_trips import record_calls

PNG = base64.b64encode(b"\x89PNG\r\n").decode()
CARD = b"""---
license: mit
language: [en]
library_name: transformers
pipeline_tag: text-generation
tags: [one, two]
---
# Tidewater

See [the code](src/train.py) and ![loss](plots/loss.png), not ![b](https://evil.example/b.png).
"""
CODE = b"import os\n\n\ndef main():\n    return '<b>'\n"
NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "source": ["*lean* <script>1</script>"]},
        {
            "cell_type": "code",
            "source": "print('hi')",
            "outputs": [
                {"output_type": "stream", "text": ["hi\n"]},
                {"output_type": "display_data", "data": {"image/png": PNG}},
                {"output_type": "display_data", "data": {"text/html": "<script>1</script>"}},
            ],
        },
    ]
}
ODD = "\N{RIGHT-TO-LEFT OVERRIDE}<i>&\N{ARABIC LETTER AIN}"


def weights() -> bytes:
    tensors = {
        "__metadata__": {"format": "pt"},
        "w": {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]},
    }
    header = json.dumps(tensors).encode()
    return struct.pack("<Q", len(header)) + header + b"\0" * 64


@dataclass
class Shown:
    """A repository with all kinds of files, and its owner."""

    hub: ThreadHub
    owner: Person
    id: str

    def page(self, path: str = "", *, token: str = "", status: int = 200) -> str:
        response = self.hub.call("GET", f"/{self.id}{path}", token=token, Accept="text/html")
        body = response.body.decode()
        assert response.status == status, body
        elements = Elements(body)
        assert not {"script", "iframe", "style"} & set(elements.tags)
        assert "style" not in dict(elements.attributes)
        if status == 200:
            assert elements.tags.count("h1") == elements.tags.count("main") == 1
            ids = [value for name, value in elements.attributes if name == "id"]
            assert len(ids) == len(set(ids))
        return body


@pytest.fixture(scope="module")
def shown(embedded_hub: ThreadHub) -> Shown:
    owner = embedded_hub.user("pages")
    repo_id = owner.repo("tidewater")
    files = {
        "README.md": CARD,
        "src/train.py": CODE,
        "rows.csv": b'id,text\n1,"a, <b>"\n2,c\n',
        "rows.jsonl": b'{"a": 1}\n{"b": [2]}\n',
        "book.ipynb": json.dumps(NOTEBOOK).encode(),
        "model.safetensors": weights(),
        "tiny.gguf": gguf({"general.architecture": "llama"}),
        "bad.safetensors": b"\xff" * 20,
        "weights.pkl": b"\x80\x04.",
        "song.mp3": b"ID3",
        "gone.txt": b"gone\n",
    }
    operations = [CommitOperationAdd(path, data) for path, data in files.items()]
    owner.api.create_commit(repo_id, operations, commit_message="First files")
    changed = CODE.replace(b"import os", b"import sys\nimport os")
    owner.api.create_commit(
        repo_id,
        [CommitOperationAdd("src/train.py", changed), CommitOperationDelete("gone.txt")],
        commit_message=f"Change {ODD}",
    )
    owner.api.create_branch(repo_id, branch="feature/x")
    owner.api.create_tag(repo_id, tag="v1.0")
    owner.api.create_commit(
        repo_id,
        [CommitOperationAdd("new.txt", b"new\n")],
        commit_message="On a branch",
        revision="feature/x",
    )
    return Shown(embedded_hub, owner, repo_id)


def test_the_first_page_has_the_card_its_facts_and_how_to_use_it(shown: Shown) -> None:
    body = shown.page()
    text = Elements(body).text
    here = f"/{shown.id}"
    assert '<h2 id="user-content-tidewater">Tidewater</h2>' in body
    assert f'href="{here}/blob/main/src/train.py"' in body
    assert f'src="{here}/resolve/main/plots/loss.png"' in body
    assert 'src="https://evil' not in body
    assert "b (evil.example)" in text
    for fact in ("text generation", "transformers", "mit", "Parameters", "16", "First files"):
        assert fact in text
    assert f"export HF_ENDPOINT={shown.hub.url}" in text
    assert f'pipeline("text-generation", model="{shown.id}")' in text
    assert f"git clone {shown.hub.url}/{shown.id}" in Elements(shown.page("?use=git")).text
    assert "license: mit" not in text
    for tag in ("text-generation", "transformers", "license%3Amit", "en", "one"):
        assert f'href="/models?filter={tag}"' in body
    listed = shown.hub.call("GET", "/models?filter=license%3Amit", token="", Accept="text/html")
    assert shown.id in listed.body.decode()


@pytest.mark.parametrize(
    ("path", "most"), [("", 12), ("/tree/main", 8), ("/commit/main", 8), ("/branches", 8)]
)
def test_a_page_takes_a_bounded_number_of_statements(
    shown: Shown, path: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown.page(path)
    calls = shown.hub.run(record_calls(shown.hub.db, monkeypatch))
    shown.page(path)
    assert 0 < len(calls) <= most, calls


def test_a_folder_shows_the_last_commit_of_each_entry_folders_first(shown: Shown) -> None:
    body = shown.page("/tree/main")
    assert body.index("blob/main/README.md") > body.index("tree/main/src")
    assert "First files" in body
    assert body.count("Change ") >= 2  # of the folder and of src
    assert "<i>" not in body
    below = shown.page("/tree/main/src")
    assert f'href="/{shown.id}/blob/main/src/train.py"' in below


def test_the_pages_of_a_large_folder_have_each_entry_once(shown: Shown) -> None:
    wide = Shown(shown.hub, shown.owner, shown.owner.repo("wide"))
    names = [f"d{number:03}/f" for number in range(FOLDER_PAGE + 3)] + ["one.txt", "two.txt"]
    operations = [CommitOperationAdd(name, b"x") for name in names]
    shown.owner.api.create_commit(wide.id, operations, commit_message="Many")
    seen: list[str] = []
    path = "/tree/main"
    while path:
        links = Elements(wide.page(path)).links
        seen += [link for link in links if re.search(r"/(tree|blob)/main/[^/?]+$", link)]
        path = next((link.partition(wide.id)[2] for link in links if "?after=" in link), "")
    assert sorted(link.rpartition("/")[2] for link in seen) == sorted(
        [".gitattributes", *(name.partition("/")[0] for name in names)]
    )


@pytest.mark.parametrize(
    ("path", "pieces"),
    [
        ("README.md", ['<h2 id="user-content-tidewater">', "?view=source"]),
        ("README.md?view=source", ["license: mit", 'id="L1"']),
        ("src/train.py", ['<tr id="L5">', '<span class="k">def</span>', "&lt;b&gt;", "/blame/"]),
        ("rows.csv", ["<bdi>a, &lt;b&gt;</bdi>", "<bdi>text</bdi>"]),
        ("rows.csv?view=source", ['id="L3"']),
        ("rows.jsonl", ["<bdi>[2]</bdi>"]),
        ("book.ipynb", ["<em>lean</em>", f"data:image/png;base64,{PNG}", "hi\n"]),
        ("weights.pkl", ["can run code"]),
        ("song.mp3", ["<audio controls"]),
        ("model.safetensors", ["sha256", "<bdi>w</bdi>", "4 × 4", "64 bytes", "<bdi>pt</bdi>"]),
        ("tiny.gguf", ["general.architecture", "<bdi>llama</bdi>"]),
        ("bad.safetensors", ["download it to see it"]),
    ],
)
def test_a_file_is_shown_as_its_kind_allows(shown: Shown, path: str, pieces: list[str]) -> None:
    body = shown.page(f"/blob/main/{path}")
    for piece in pieces:
        assert piece in body


def test_a_dataset_shows_the_first_rows_of_its_training_table(shown: Shown) -> None:
    name = shown.owner.repo("rows", kind="dataset")
    files = {
        "README.md": b"# Rows\n",
        "data/test.csv": b"id\nlast\n",
        "data/train-0.csv": b"id,text\n" + b"".join(b"%d,<b>\n" % row for row in range(30)),
    }
    operations = [CommitOperationAdd(path, data) for path, data in files.items()]
    shown.owner.api.create_commit(name, operations, commit_message="Rows", repo_type="dataset")
    body = Shown(shown.hub, shown.owner, f"datasets/{name}").page()
    assert "data/train-0.csv" in body
    assert body.count("<bdi>&lt;b&gt;</bdi>") == 10
    assert f'load_dataset("{name}")' in Elements(body).text


def test_history_is_of_a_revision_or_of_a_path(shown: Shown) -> None:
    whole = Elements(shown.page("/commits/main")).text
    assert "First files" in whole
    assert ODD in whole
    assert "First files" not in shown.page("/commits/main/gone.txt?p=1")
    assert "Change" not in shown.page("/commits/main/rows.csv")
    assert "Change" in shown.page("/commits/main/gone.txt")


def test_a_commit_shows_its_difference_and_is_a_patch(shown: Shown) -> None:
    body = shown.page("/commit/main")
    text = Elements(body).text
    assert "2 files changed" in text
    assert '<tr class="add">' in body
    assert "import sys" in text
    assert '<tr class="del">' in body
    one = Elements(shown.page("/commit/main?file=gone.txt")).text
    assert "import sys" not in one
    sha = shown.owner.api.list_repo_commits(shown.id)[0].commit_id
    diff = shown.hub.call("GET", f"/{shown.id}/commit/{sha}.diff")
    assert diff.headers["content-type"].startswith("text/plain")
    assert b"+import sys" in diff.body
    patch = shown.hub.call("GET", f"/{shown.id}/commit/{sha}.patch").body.decode()
    assert patch.startswith(f"From {sha} ")
    assert "Subject: [PATCH] Change " in patch


def test_revisions_are_compared_since_they_parted(shown: Shown) -> None:
    body = shown.page("/compare/main...feature%2Fx")
    text = Elements(body).text
    assert "1 commit" in text
    assert "new.txt" in text
    assert "import sys" not in text
    assert "The same" in shown.page("/compare/feature%2Fx...main")
    assert "The same" in shown.page("/compare/v1.0..main")


def test_blame_names_the_commit_of_each_line(shown: Shown) -> None:
    body = shown.page("/blame/main/src/train.py")
    assert body.count('class="who"') == 2
    assert body.count("<tr id=") == 6
    assert "texts up to" in Elements(shown.page("/blame/main/model.safetensors")).text


def test_branches_and_tags_have_pages(shown: Shown) -> None:
    branches = shown.page("/branches")
    assert "default" in branches
    assert f'href="/{shown.id}/compare/main...feature%2Fx"' in branches
    assert f'href="/{shown.id}/tree/v1.0"' in shown.page("/tags")


def test_an_empty_repository_shows_the_ways_in_to_those_who_may_write(shown: Shown) -> None:
    empty = Shown(shown.hub, shown.owner, shown.owner.repo("empty", private=False))
    sent = Elements(empty.page(token=shown.owner.token)).text
    assert "no files in this repository" in sent
    assert f"hf upload {empty.id} ." in sent
    assert "hf upload" not in empty.page()


def test_gated_files_are_named_and_not_shown(shown: Shown) -> None:
    gated = Shown(shown.hub, shown.owner, shown.owner.repo("gated"))
    shown.owner.api.upload_file(
        path_or_fileobj=b"# Secret words\n", path_in_repo="README.md", repo_id=gated.id
    )
    shown.owner.api.update_repo_settings(gated.id, gated="manual")
    stranger = shown.hub.user("stranger").token
    for path in ("", "/tree/main", "/commit/main", "/compare/main..main", "/commits/main"):
        assert "Secret words" not in gated.page(path, token=stranger)
    assert "README.md" in gated.page("/commit/main", token=stranger)
    assert "Secret words" in gated.page(token=shown.owner.token)
    assert "Secret words" in gated.page("/commit/main", token=shown.owner.token)
    for path in ("/blob/main/README.md", "/blame/main/README.md"):
        gated.page(path, token=stranger, status=403)
    sha = shown.owner.api.list_repo_commits(gated.id)[0].commit_id
    gated.page(f"/commit/{sha}.diff", token=stranger, status=403)


def test_a_hidden_repository_equals_an_absent_one_on_every_page(shown: Shown) -> None:
    hidden = shown.owner.repo("hidden", private=True)
    absent = shown.owner.path("nothing")
    stranger = shown.hub.user("nobody").token
    for path in ("", "/tree/main", "/blame/main/a", "/compare/a...b", "/branches", "/tags"):
        for token in ("", stranger):
            answers = [
                shown.hub.call("GET", f"/{name}{path}", token=token, Accept="text/html")
                for name in (hidden, absent)
            ]
            assert answers[0].status == answers[1].status == (404 if token else 401)
