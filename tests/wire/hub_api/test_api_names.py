"""Names of files as real data sets have them: case, Unicode forms, backslashes, long paths."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.support.git import Clone, clone, url
from tests.support.http import Response
from tests.support.hub import ThreadHub
from tests.support.person import Person

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café.txt") for form in ("NFC", "NFD"))
#: 4,096 bytes in UTF-8, most of them of characters that an address encodes.
LONGEST = "/".join(["é" * 120] * 17)
#: Files of the repository, those that clash with them, and the difference.
CLASHES = [
    ("Read.md", "read.md", "case"),
    ("folder/a", "Folder/b", "case"),
    ("ÄRGER", "a\u0308rger", "case"),
    (COMPOSED, DECOMPOSED, "the Unicode form of its characters"),
]


def add(path: str, content: str = "x") -> dict[str, Any]:
    return {"key": "file", "value": {"path": path, "content": content}}


def preupload(anna: Person, repo: str, *paths: str) -> Response:
    files = [{"path": path, "size": 1, "sample": ""} for path in paths]
    return anna.call("POST", f"/api/models/{repo}/preupload/main", {"files": files})


@pytest.fixture
def anna(live_hub: ThreadHub) -> Person:
    return live_hub.user("anna")


def test_names_that_differ_in_case_or_unicode_form_are_distinct(
    anna: Person, tmp_path: Path
) -> None:
    names = [name for first, second, _ in CLASHES for name in (first, second)]
    files = [{"path": name, "content": name} for name in names]
    anna.call("POST", "/api/repos/create", {"name": "created", "files": files})
    repo = anna.repo()
    assert preupload(anna, repo, *names).status == 200
    assert anna.commit(repo, *[add(name, name) for name in names]).status == 200
    here = clone(url(anna, anna.repo("pushed")), tmp_path / "w")
    for name in names:
        here.write(name, name)
    here("add", ".")
    here("commit", "-qm", "all")
    here("push", "-q")
    anna.repo("old")
    for name in names:
        target = f"/api/{anna.path('old')}/upload/main/{quote(name)}"
        assert anna.call("POST", target, name).status == 200
    for repo_name in ("created", "bert", "pushed", "old"):
        listed = anna.api.list_repo_files(anna.path(repo_name))
        assert set(listed) >= set(names)
        for name in names:
            got = anna.call("GET", f"/{anna.path(repo_name)}/resolve/main/{quote(name)}")
            assert got.body.decode() == name


@pytest.fixture
def strict(own_hub: Callable[..., ThreadHub]) -> Person:
    return own_hub(refuse_case_clashes=True).user("anna")


def test_a_setting_refuses_clashes_of_names_on_every_way_in(strict: Person, tmp_path: Path) -> None:
    anna, repo = strict, strict.repo()
    for present, _, _ in CLASHES:
        assert anna.commit(repo, add(present)).status == 200
    here = clone(url(anna, repo), tmp_path / "w")
    before = anna.hub.traces()
    for present, new, difference in CLASHES:
        hint = f"differs only in {difference}"
        refused = anna.commit(repo, add(new))
        assert (refused.status, hint in refused.json["error"]) == (400, True)
        copied = {"key": "copyFile", "value": {"path": new, "srcPath": present}}
        assert hint in anna.commit(repo, copied).json["error"]
        early = preupload(anna, repo, "fine", new)
        assert (early.status, hint in early.json["error"]) == (422, True)
        among = preupload(anna, repo, "n/" + present, "n/" + new)
        assert (among.status, hint in among.json["error"]) == (422, True)
        old = anna.call("POST", f"/api/{repo}/upload/main/{quote(new)}", b"x" * 100_000)
        assert (old.status, hint in old.json["error"]) == (400, True)
        files = [{"path": name, "content": ""} for name in (present, new)]
        created = anna.call("POST", "/api/repos/create", {"name": "new", "files": files})
        assert (created.status, hint in created.json["error"]) == (400, True)
        here("reset", "-q", "--hard", "origin/main")
        here.commit(new, "x")
        pushed = here.refused("push", "origin", "HEAD:main", "HEAD:dev")
        assert pushed.count(hint) == 2
    assert anna.hub.traces() == before
    assert anna.call("POST", f"/api/{repo}/upload/main/Read.md", b"y").status == 200
    assert preupload(anna, repo, "Read.md", "folder/a", "folder/b").status == 200


def test_an_older_clash_stops_no_push(own_hub: Callable[..., ThreadHub], tmp_path: Path) -> None:
    anna = own_hub().user("anna")
    repo = anna.repo()
    anna.commit(repo, add("a"), add("A"))
    anna.hub.settings = anna.hub.settings.replace(refuse_case_clashes=True)
    anna.hub.stop()
    anna.hub.start()
    here = clone(url(anna, repo), tmp_path / "w")
    here.commit("b", "1")
    here("push", "-q", "origin", "HEAD:main", "HEAD:dev")
    assert preupload(anna, repo, "a", "A").status == 200
    here.commit("B", "2")
    assert "B is there already and differs only in case" in here.refused("push")


def test_a_backslash_is_a_character(anna: Person, tmp_path: Path) -> None:
    repo, name = anna.repo(), "folder\\file"
    for path in (name, "folder/..\\..\\..\\file"):  # the second is of the client's tests
        anna.api.upload_file(path_or_fileobj=b"1", path_in_repo=path, repo_id=repo)
    assert preupload(anna, repo, "a\\b").status == 200
    assert name in anna.api.list_repo_files(repo)
    got = anna.api.hf_hub_download(repo, name, cache_dir=tmp_path / "cache")
    assert Path(got).read_bytes() == b"1"
    (info,) = anna.api.get_paths_info(repo, [name])
    assert info.path == name
    for page in ("tree/main", f"blob/main/{quote(name)}"):
        shown = anna.call("GET", f"/{repo}/{page}", Accept="text/html")
        assert shown.status == 200
        assert quote(name) in shown.body.decode()
    here: Clone = clone(url(anna, repo), tmp_path / "w")
    assert (here.path / name).read_bytes() == b"1"
    here.commit("other\\file", "2")
    here("push", "-q")
    assert anna.call("GET", f"/{repo}/raw/main/other%5Cfile").body == b"2"
    assert preupload(anna, repo, "..\\ddd").status == 422
    for bad in ("a\\.git", "a\\.GIT\\b", "git~1\\x"):
        assert anna.commit(repo, add(bad)).status == 400
    anna.api.delete_file(name, repo)
    assert name not in anna.api.list_repo_files(repo)


def test_a_path_of_4096_bytes_is_served_everywhere(anna: Person) -> None:
    assert len(LONGEST.encode()) == 4096
    repo = anna.repo()
    large = b"\0" * 100_000
    anna.api.upload_file(path_or_fileobj=large, path_in_repo=LONGEST, repo_id=repo)
    assert LONGEST in anna.api.list_repo_files(repo)
    assert anna.call("GET", f"/{repo}/resolve/main/{quote(LONGEST)}").body == large
    folder = LONGEST.rpartition("/")[0]
    listed = anna.call("GET", f"/api/models/{repo}/tree/main/{quote(folder, safe='')}?expand=1")
    assert [item["path"] for item in listed.json] == [LONGEST]
    first = anna.call("GET", f"/api/models/{repo}/tree/main?recursive=1&limit=17")
    following = first.headers["link"].partition(">")[0][1:].removeprefix(anna.hub.url)
    assert anna.call("GET", following).json[0]["path"] == LONGEST
    assert anna.call("GET", f"/{repo}/blob/main/{quote(LONGEST)}", Accept="text/html").status == 200
    assert anna.commit(repo, add(LONGEST + "x")).status == 400
    assert preupload(anna, repo, LONGEST + "x").status == 422
