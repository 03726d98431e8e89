"""Invalid input: refused with a helpful text, without a trace."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.http import Response
from tests.support.hub import ThreadHub
from tests.support.person import Person

NDJSON = {"Content-Type": "application/x-ndjson"}
HEADER = {"key": "header", "value": {"summary": "test"}}
NO_OBJECT = "a" * 64
NO_COMMIT = "f" * 40


@dataclass(frozen=True)
class SmallRepo:
    """A repository with a few files, and its owner."""

    owner: Person
    repo_id: str

    def commit(self, *lines: Any, rev: str = "main") -> Response:
        """Commit lines: text unchanged, all else as JSON."""
        body = b"\n".join(
            line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines
        )
        return self.owner.call("POST", f"/api/models/{self.repo_id}/commit/{rev}", body, **NDJSON)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Response:
        return self.owner.call(method, f"/api/models/{self.repo_id}{path}", body, **headers)


@pytest.fixture(scope="module")
def sample(live_hub: ThreadHub) -> SmallRepo:
    anna = live_hub.user("anna")
    small = SmallRepo(anna, anna.repo())
    response = small.commit(HEADER, file("folder/a.txt", "A"), file("Upper.txt", "U"))
    assert response.status == 200, response.body
    return small


@pytest.fixture
def untouched(live_hub: ThreadHub, sample: SmallRepo) -> Iterator[None]:
    """Check that the test changed nothing of the hub: every row, file and blob."""
    before = live_hub.traces()
    yield
    assert live_hub.traces() == before


def file(path: str, content: Any = "x", **more: Any) -> dict[str, Any]:
    return {"key": "file", "value": {"path": path, "content": content, **more}}


def lfs(path: str, oid: Any = NO_OBJECT, **more: Any) -> dict[str, Any]:
    return {"key": "lfsFile", "value": {"path": path, "algo": "sha256", "oid": oid, **more}}


def line(key: str, **value: Any) -> dict[str, Any]:
    return {"key": key, "value": value}


def header(**value: Any) -> dict[str, Any]:
    return line("header", **{"summary": "test", **value})


BAD_PATHS = [
    "",
    "/etc/passwd",
    "../up",
    "a/../../up",
    "a/./b",
    "a//b",
    "a/",
    ".",
    "..",
    ".git/config",
    ".GIT/config",
    "a/.git",
    ".git ",
    ".git.",
    "git~1/x",
    ".g\u200cit/x",
    ".git::$INDEX_ALLOCATION/x",
    "a\\.git",
    "..\\ddd",
    "a\0b",
    "a\nb",
    "a\x7fb",
    "x" * 256,
    "/".join(["d"] * 65),
    "é/" * 400 + "x",
    "\ud800",
]


@pytest.mark.parametrize("path", BAD_PATHS, ids=lambda path: ascii(path)[:24])
def test_a_commit_refuses_a_path_that_git_cannot_check_out(
    sample: SmallRepo, untouched: None, path: str
) -> None:
    for operation in (
        file(path),
        lfs(path),
        line("copyFile", path=path, srcPath="Upper.txt"),
        line("copyFile", path="new", srcPath=path),
        line("deletedFile", path=path),
        file("new", oldPath=path),
    ):
        response = sample.commit(HEADER, operation)
        assert (response.status, response.code) == (400, None), (operation, response.body)
        assert "Invalid path" in response.message or "line 2" in response.message


WRONG_COMMITS: dict[str, tuple[list[Any], int, str | None, str]] = {
    "nothing": ([], 400, None, "no header"),
    "blank lines": ([b"", b"  ", b""], 400, None, "no header"),
    "no json": ([b"nonsense"], 400, None, "line 1"),
    "half a json": ([b'{"key": "header", "value": {"summary": "x"'], 400, None, "line 1"),
    "an array": ([b"[]"], 400, None, "line 1"),
    "null": ([b"null"], 400, None, "line 1"),
    "no key": ([HEADER, {"value": {}}], 400, None, "line 2"),
    "no value": ([HEADER, {"key": "file"}], 400, None, "line 2"),
    "key is a number": ([HEADER, {"key": 1, "value": {}}], 400, None, "line 2"),
    "unknown key": ([HEADER, line("filе")], 400, None, "line 2: unknown key"),
    "no header first": ([file("a")], 400, None, "header must come first"),
    "two headers": ([HEADER, HEADER], 400, None, "one header"),
    "no summary": ([line("header")], 400, None, "summary"),
    "empty summary": ([header(summary=" \n "), file("a")], 400, None, "summary"),
    "summary is a number": ([header(summary=1)], 400, None, "line 1"),
    "surrogate summary": ([header(summary="\ud800"), file("new")], 400, None, "line 1"),
    "surrogate description": ([header(description="\udfff"), file("new")], 400, None, "line 1"),
    "NUL in the summary": ([header(summary="a\0b"), file("new")], 400, None, "NUL"),
    "NUL in the description": ([header(description="a\0b"), file("new")], 400, None, "NUL"),
    "parent is no sha": ([header(parentCommit="main"), file("a")], 400, None, "line 1"),
    "parent is a number": ([header(parentCommit=1234567), file("a")], 400, None, "line 1"),
    "stale parent": ([header(parentCommit=NO_COMMIT), file("new")], 412, None, "refresh"),
    "content is a number": ([HEADER, file("a", 5)], 400, None, "line 2"),
    "no content": ([HEADER, line("file", path="a")], 400, None, "no content"),
    "unknown encoding": ([HEADER, file("a", encoding="utf-16")], 400, None, "line 2"),
    "no base64": ([HEADER, file("a", "%%%", encoding="base64")], 400, None, "base64"),
    "short base64": ([HEADER, file("a", "YWJ", encoding="base64")], 400, None, "base64"),
    "surrogate content": ([HEADER, file("a", "\ud800")], 400, None, "line 2"),
    "not utf-8": ([HEADER, b'{"key":"file","value":{"path":"\xff","content":""}}'], 400, None, ""),
    "path is a list": ([HEADER, line("file", path=["a"], content="")], 400, None, "line 2"),
    "no oid": ([HEADER, line("lfsFile", path="a")], 400, None, "line 2"),
    "short oid": ([HEADER, lfs("a", "abc")], 400, None, "sha256"),
    "upper-case oid": ([HEADER, lfs("a", "A" * 64)], 400, None, "sha256"),
    "unknown object": ([HEADER, lfs("a", size=3)], 400, None, "has not been uploaded"),
    "negative size": ([HEADER, lfs("a", size=-1)], 400, None, "line 2"),
    "huge size": ([HEADER, lfs("a", size=10**30)], 400, None, "line 2"),
    "size above the database's": ([HEADER, lfs("a", size=2**63)], 400, None, "line 2"),
    "fractional size": ([HEADER, lfs("a", size=1.5)], 400, None, "line 2"),
    "other algo": ([HEADER, lfs("a", algo="md5")], 400, None, "sha256"),
    "pointer by hand": (
        [
            HEADER,
            file(
                "p", f"version https://git-lfs.github.com/spec/v1\noid sha256:{NO_OBJECT}\nsize 3\n"
            ),
        ],
        400,
        None,
        "has not been uploaded",
    ),
    "file to delete is missing": (
        [HEADER, line("deletedFile", path="none")],
        404,
        "EntryNotFound",
        "A file with this name doesn't exist",
    ),
    "folder to delete is missing": (
        [HEADER, line("deletedFolder", path="none/")],
        404,
        "EntryNotFound",
        "exist",
    ),
    "file to copy is missing": (
        [HEADER, line("copyFile", path="new", srcPath="none")],
        404,
        "EntryNotFound",
        "none",
    ),
    "revision to copy from is missing": (
        [HEADER, line("copyFile", path="new", srcPath="Upper.txt", srcRevision="none")],
        404,
        "RevisionNotFound",
        "Invalid rev id: none",
    ),
    "revision to copy from has a NUL": (
        [HEADER, line("copyFile", path="new", srcPath="Upper.txt", srcRevision="a\0")],
        404,
        "RevisionNotFound",
        "Invalid rev id",
    ),
    "file to move is missing": (
        [HEADER, line("file", path="new", oldPath="none")],
        404,
        "EntryNotFound",
        "none",
    ),
    "file where a folder is": ([HEADER, file("folder")], 400, None, "folder"),
    "folder where a file is": ([HEADER, file("Upper.txt/x")], 400, None, "Upper.txt"),
    "both at once": ([HEADER, file("n"), file("n/x")], 400, None, "n"),
    "deep json": ([HEADER, b'{"key":"file","value":' + b"[" * 100_000], 400, None, "line 2"),
    "deep card": ([HEADER, file("README.md", "---\na: " + "[" * 5000 + "\n---\n")], 400, None, ""),
    "card in error": ([HEADER, file("README.md", "---\nlicense: 5\n---\n")], 400, None, "license"),
    "card is no yaml": ([HEADER, file("README.md", "---\na: [\n---\n")], 400, None, ""),
    "late fault": ([HEADER, *[file(f"f{n}") for n in range(50)], file("..")], 400, None, ".."),
}


@pytest.mark.parametrize("name", WRONG_COMMITS)
def test_an_invalid_commit_is_refused_with_the_reason_and_leaves_nothing(
    sample: SmallRepo, untouched: None, name: str
) -> None:
    lines, status, code, words = WRONG_COMMITS[name]
    response = sample.commit(*lines)
    assert (response.status, response.code) == (status, code), response.body
    assert words in response.json["error"]
    assert response.headers["content-type"].startswith("application/json")


B64 = base64.b64encode(b"x").decode()
NUL, LONE = "a\0b", "\ud800"

WRONG_CALLS: dict[str, tuple[str, str, Any, int, str | None]] = {
    # preupload
    "preupload of nothing": ("POST", "/preupload/main", b"", 200, None),
    "preupload of an array": ("POST", "/preupload/main", [], 400, None),
    "preupload without size": ("POST", "/preupload/main", {"files": [{"path": "a"}]}, 400, None),
    "preupload of many files by many wildcards": (
        "POST",
        "/preupload/main",
        {
            "files": [{"path": f"f{n}", "size": 1} for n in range(1000)],
            "gitAttributes": "".join(f"*a{n}* filter=lfs\n" for n in range(1100)),
        },
        413,
        None,
    ),
    "preupload negative": (
        "POST",
        "/preupload/main",
        {"files": [{"path": "a", "size": -1}]},
        400,
        None,
    ),
    "preupload huge": (
        "POST",
        "/preupload/main",
        {"files": [{"path": "a", "size": 10**40}]},
        400,
        None,
    ),
    "preupload bad sample": (
        "POST",
        "/preupload/main",
        {"files": [{"path": "a", "size": 1, "sample": "%"}]},
        400,
        None,
    ),
    "preupload up": (
        "POST",
        "/preupload/main",
        {"files": [{"path": "../a", "size": 1}]},
        422,
        None,
    ),
    "preupload lone": (
        "POST",
        "/preupload/main",
        {"files": [{"path": LONE, "size": 1}]},
        400,
        None,
    ),
    "preupload ignore": ("POST", "/preupload/main", {"files": [], "gitIgnore": LONE}, 400, None),
    "preupload 1001": (
        "POST",
        "/preupload/main",
        {"files": [{"path": f"{n}", "size": 1} for n in range(1001)]},
        400,
        None,
    ),
    "preupload nowhere": ("POST", "/preupload/none", {"files": []}, 404, "RevisionNotFound"),
    "preupload to a sha": (
        "POST",
        f"/preupload/{NO_COMMIT}",
        {"files": []},
        404,
        "RevisionNotFound",
    ),
    "preupload NUL": ("POST", "/preupload/a%00b", {"files": []}, 400, None),
    # branches and tags
    "branch with a blank": ("POST", "/branch/a%20b", {}, 400, None),
    "branch HEAD": ("POST", "/branch/HEAD", {}, 400, None),
    "branch refs/pr/1": ("POST", "/branch/refs%2Fpr%2F1", {}, 400, None),
    "branch sha": ("POST", f"/branch/{NO_COMMIT}", {}, 400, None),
    "branch NUL": ("POST", "/branch/a%00b", {}, 400, None),
    "branch not utf-8": ("POST", "/branch/%ff", {}, 400, None),
    "branch long": ("POST", "/branch/" + "x" * 300, {}, 400, None),
    "branch dots": ("POST", "/branch/a..b", {}, 400, None),
    "branch lock": ("POST", "/branch/a.lock", {}, 400, None),
    "branch below main": ("POST", "/branch/main%2Fx", {}, 400, None),
    "branch exists": ("POST", "/branch/main", {}, 409, None),
    "branch from nowhere": (
        "POST",
        "/branch/n",
        {"startingPoint": "none"},
        404,
        "RevisionNotFound",
    ),
    "branch from NUL": ("POST", "/branch/n", {"startingPoint": NUL}, 404, "RevisionNotFound"),
    "branch from a surrogate": ("POST", "/branch/n", {"startingPoint": LONE}, 400, None),
    "branch of a number": ("POST", "/branch/n", {"startingPoint": 5}, 400, None),
    "delete main": ("DELETE", "/branch/main", None, 403, None),
    "delete no branch": ("DELETE", "/branch/none", None, 404, "RevisionNotFound"),
    "delete NUL": ("DELETE", "/branch/a%00", None, 400, None),
    "tag without name": ("POST", "/tag/main", {}, 400, None),
    "tag empty": ("POST", "/tag/main", {"tag": ""}, 400, None),
    "tag NUL": ("POST", "/tag/main", {"tag": NUL}, 400, None),
    "tag lone": ("POST", "/tag/main", {"tag": LONE}, 400, None),
    "tag message lone": ("POST", "/tag/main", {"tag": "t", "message": LONE}, 400, None),
    "tag message NUL": ("POST", "/tag/main", {"tag": "t", "message": NUL}, 400, None),
    "tag of nothing": ("POST", "/tag/none", {"tag": "t"}, 404, "RevisionNotFound"),
    "delete no tag": ("DELETE", "/tag/none", None, 404, "RevisionNotFound"),
    "squash nothing": ("POST", "/super-squash/none", {}, 404, "RevisionNotFound"),
    "squash NUL": ("POST", "/super-squash/a%00", {}, 400, None),
    "squash message NUL": ("POST", "/super-squash/main", {"message": NUL}, 400, None),
    "squash message lone": ("POST", "/super-squash/main", {"message": LONE}, 400, None),
    "squash long": ("POST", "/super-squash/main", {"message": "x" * 501}, 400, None),
    # reads
    "info of nothing": ("GET", "/revision/none", None, 404, "RevisionNotFound"),
    "info NUL": ("GET", "/revision/%00", None, 400, None),
    "info not utf-8": ("GET", "/revision/%ff%fe", None, 400, None),
    "info surrogate": ("GET", "/revision/%ed%a0%80", None, 400, None),
    "info bad expand": ("GET", "?expand=none", None, 400, None),
    "info NUL expand": ("GET", "?expand=%00", None, 400, None),
    "info bad flag": ("GET", "?blobs=perhaps", None, 400, None),
    "tree NUL": ("GET", "/tree/main/a%00b", None, 400, None),
    "tree not utf-8": ("GET", "/tree/main/%ff", None, 400, None),
    "tree of a file": ("GET", "/tree/main/Upper.txt", None, 404, "EntryNotFound"),
    "tree up": ("GET", "/tree/main/..%2f..", None, 404, "EntryNotFound"),
    "tree limit 0": ("GET", "/tree/main?limit=0", None, 400, None),
    "tree limit huge": ("GET", "/tree/main?limit=" + "9" * 50, None, 400, None),
    "tree limit word": ("GET", "/tree/main?limit=many", None, 400, None),
    "tree limit arabic": ("GET", "/tree/main?limit=%D9%A3", None, 400, None),
    "tree cursor": ("GET", "/tree/main?cursor=%25%25", None, 400, None),
    "tree cursor lone": ("GET", "/tree/main?cursor=%ed%a0%80", None, 400, None),
    "commits of nothing": ("GET", "/commits/none", None, 404, "RevisionNotFound"),
    "commits page -1": ("GET", "/commits/main?p=-1", None, 400, None),
    "commits page far": ("GET", "/commits/main?p=999999999999999999", None, 200, None),
    "compare one": ("GET", "/compare/main", None, 404, "RevisionNotFound"),
    "compare NUL": ("GET", "/compare/main..%00", None, 400, None),
    "paths-info word": ("POST", "/paths-info/main", {"paths": 5}, 400, None),
    "paths-info numbers": ("POST", "/paths-info/main", {"paths": [1]}, 400, None),
    "paths-info odd": (
        "POST",
        "/paths-info/main",
        {"paths": [NUL, "..", "/", "x" * 9000]},
        200,
        None,
    ),
    "paths-info lone": ("POST", "/paths-info/main", {"paths": [LONE]}, 400, None),
    "paths-info nowhere": ("POST", "/paths-info/none", {"paths": []}, 404, "RevisionNotFound"),
    "lfs-files cursor": ("GET", "/lfs-files?cursor=%25", None, 400, None),
    "lfs-files cursor number": (
        "GET",
        "/lfs-files?cursor=" + base64.b64encode(b"9" * 40 + b".x").decode(),
        None,
        400,
        None,
    ),
    "lfs-files cursor NUL": (
        "GET",
        "/lfs-files?cursor=" + base64.b64encode(b"1.\0").decode(),
        None,
        400,
        None,
    ),
    "lfs delete nothing": ("POST", "/lfs-files/batch", {}, 400, None),
    "lfs delete no sha": ("POST", "/lfs-files/batch", {"deletions": {"sha": ["x"]}}, 400, None),
    "lfs delete lone": ("POST", "/lfs-files/batch", {"deletions": {"sha": [LONE]}}, 400, None),
    "lfs delete one": ("DELETE", "/lfs-files/none", None, 400, None),
    # settings, duplicates
    "settings both": ("PUT", "/settings", {"private": True, "visibility": "private"}, 400, None),
    "settings unknown": ("PUT", "/settings", {"visibility": "protected"}, 400, None),
    "settings gate": ("PUT", "/settings", {"gated": "sometimes"}, 400, None),
    "settings type": ("PUT", "/settings", {"private": "perhaps"}, 400, None),
    "settings lone": ("PUT", "/settings", {"gatedNotificationsEmail": LONE}, 400, None),
    "duplicate nowhere": ("POST", "/duplicate", {}, 400, None),
    "duplicate odd": ("POST", "/duplicate", {"repository": "a b/c"}, 400, None),
    "duplicate NUL": ("POST", "/duplicate", {"repository": "anna/a\0"}, 400, None),
    # one file at a time
    "upload up": ("POST", "/upload/main/..%2fx", b"x", 400, None),
    "upload git": ("POST", "/upload/main/.git/x", b"x", 400, None),
    "upload NUL": ("POST", "/upload/main/a%00", b"x", 400, None),
    "upload not utf-8": ("POST", "/upload/main/%ff", b"x", 400, None),
    "upload nothing": ("POST", "/upload/main", b"x", 400, None),
    "upload nowhere": ("POST", "/upload/none/x", b"x", 404, "RevisionNotFound"),
    "upload below a file": ("POST", "/upload/main/Upper.txt/x", b"x", 400, None),
    "delete no file": ("DELETE", "/delete/main/none", None, 404, "EntryNotFound"),
}


@pytest.mark.parametrize("name", WRONG_CALLS)
def test_an_invalid_call_is_refused_and_leaves_nothing(
    sample: SmallRepo, untouched: None, name: str
) -> None:
    method, path, body, status, code = WRONG_CALLS[name]
    response = sample.ask(method, path, body)
    assert (response.status, response.code) == (status, code), (response.body, response.headers)
    if status >= 400:
        assert response.message
        assert response.json["error"]


WRONG_NAMES = ["", " ", "a b", "a/b/c", "-a", "a-", ".a", "a.", "a--b", "a..b", "a.git", "ä", NUL]
WRONG_NAMES += ["x" * 97, "a\n", "🤗", "%41", LONE, "a.GIT", "x.ipynb"]

WRONG_CREATES: dict[str, tuple[Any, int]] = {
    **{f"name {name!a:.20}": ({"name": name}, 400) for name in WRONG_NAMES},
    "nothing": (b"", 400),
    "array": ([], 400),
    "null": (b"null", 400),
    "not utf-8": (b'{"name": "\xff"}', 400),
    "deep": (b'{"name": "x", "files": ' + b"[" * 200_000, 400),
    "type": ({"name": "x", "type": "bucket"}, 400),
    "type NUL": ({"name": "x", "type": NUL}, 400),
    "space of another sdk": ({"name": "x", "type": "space", "sdk": "php"}, 400),
    "both": ({"name": "x", "private": True, "visibility": "private"}, 400),
    "visibility": ({"name": "x", "visibility": "secret"}, 400),
    "private": ({"name": "x", "private": "perhaps"}, 400),
    "no organization": ({"name": "x", "organization": "nobody-has-this"}, 403),
    "organization NUL": ({"name": "x", "organization": NUL}, 403),
    "organization lone": ({"name": "x", "organization": LONE}, 400),
    "file up": ({"name": "x", "files": [{"path": "../x", "content": ""}]}, 400),
    "file no base64": (
        {"name": "x", "files": [{"path": "x", "content": "%", "encoding": "base64"}]},
        400,
    ),
    "file with a control character": (
        {"name": "x", "files": [{"path": "a\nb", "content": ""}]},
        400,
    ),
    "file with a long path": (
        {"name": "x", "files": [{"path": "/".join(["x" * 200] * 21), "content": ""}]},
        400,
    ),
    "file clash": (
        {"name": "x", "files": [{"path": "a", "content": ""}, {"path": "a/b", "content": ""}]},
        400,
    ),
    "card": (
        {"name": "x", "files": [{"path": "README.md", "content": "---\nlicense: 5\n---\n"}]},
        400,
    ),
    "license lone": ({"name": "x", "license": LONE}, 400),
    "multipart threshold": ({"name": "x", "lfsmultipartthresh": 2**70}, 400),
    "multipart threshold negative": ({"name": "x", "lfsmultipartthresh": -5}, 400),
}


@pytest.mark.parametrize("name", WRONG_CREATES)
def test_an_invalid_repository_is_not_created(
    sample: SmallRepo, untouched: None, name: str
) -> None:
    body, status = WRONG_CREATES[name]
    response = sample.owner.call("POST", "/api/repos/create", body)
    assert (response.status, response.code) == (status, None), response.body
    assert response.message


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/api/repos/move", {"fromRepo": "x", "toRepo": "y"}, 400),
        ("POST", "/api/repos/move", {"fromRepo": "a/x", "toRepo": "a/\0"}, 400),
        ("POST", "/api/repos/move", {"fromRepo": "a/" + LONE, "toRepo": "a/b"}, 400),
        ("POST", "/api/repos/move", {"fromRepo": "none/x", "toRepo": "none/y"}, 404),
        ("DELETE", "/api/repos/delete", {"name": ""}, 404),
        ("DELETE", "/api/repos/delete", {"name": NUL}, 404),
        ("DELETE", "/api/repos/delete", {"name": "ſ"}, 404),
        ("DELETE", "/api/repos/delete", b"", 400),
        ("GET", "/api/repos/ls?organization=%00", None, 404),
        ("GET", "/api/repos/ls?organization=%ed%a0%80", None, 404),
        ("GET", "/api/models?search=%00", None, 200),
        ("GET", "/api/models?author=%00", None, 200),
        ("GET", "/api/models?filter=%00", None, 200),
        ("GET", "/api/models?id=%00", None, 200),
        ("GET", "/api/models?pipeline_tag=%00&library=%00", None, 200),
        ("GET", "/api/spaces?models=%00&datasets=%00", None, 200),
        ("GET", "/api/models?search=%ed%a0%80&author=%ff", None, 200),
        ("GET", "/api/models?sort=%00", None, 400),
        ("GET", "/api/models?sort=none", None, 400),
        ("GET", "/api/models?direction=2", None, 400),
        ("GET", "/api/models?limit=-1", None, 400),
        ("GET", "/api/models?limit=1e9", None, 400),
        ("GET", "/api/models?cursor=x", None, 400),
        ("GET", "/api/models?cursor=%00", None, 400),
        ("GET", "/api/models?cursor=bnVsbA", None, 400),
        ("GET", "/api/models?cursor=WzEsMl0", None, 400),
        ("GET", "/api/models?gated=perhaps", None, 400),
        ("GET", "/api/models?expand=none", None, 400),
        ("GET", "/api/models?" + "a&" * 6000, None, 400),
        ("GET", "/api/users/%00/overview", None, 400),
        ("GET", "/api/users/%ff/overview", None, 400),
        ("GET", "/api/organizations/%00/members", None, 400),
        ("GET", "/api/settings/repositories?type=none", None, 400),
        ("GET", "/api/settings/repositories?skip=-1", None, 400),
        ("GET", "/api/settings/repositories?search=%00", None, 200),
        ("POST", "/api/validate-yaml", {}, 400),
        ("POST", "/api/validate-yaml", {"content": "", "repoType": "none"}, 400),
        ("POST", "/api/validate-yaml", {"content": LONE}, 400),
        ("POST", "/api/validate-yaml", {"content": "---\n" + "a: &a [*a]\n" + "---\n"}, 400),
        ("POST", "/api/validate-yaml", {"content": "---\na: \0\n---\n"}, 400),
        ("POST", "/api/login", {"username": NUL, "password": NUL}, 401),
        ("POST", "/api/login", {"username": LONE, "password": LONE}, 400),
        ("POST", "/api/login", {}, 400),
        ("POST", "/api/logout", b"", 400),
        ("GET", "/api/models/%00/x", None, 400),
        ("GET", "/api/models/a%2Fb/x", None, 404),
        ("GET", "/api/models/%ed%a0%80/%ff", None, 400),
        ("GET", "/api/models/" + "x" * 5000 + "/y", None, 404),
    ],
)
def test_odd_values_outside_of_repositories_cause_no_faults(
    sample: SmallRepo, method: str, path: str, body: Any, status: int
) -> None:
    response = sample.owner.call(method, path, body)
    assert response.status == status, response.body


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/json; charset=utf-16", "APPLICATION/X-NDJSON", "a" * 3000, ";"],
)
def test_a_commit_is_parsed_as_ndjson_whatever_its_content_type(
    sample: SmallRepo, content_type: str
) -> None:
    body = "\n".join(json.dumps(entry) for entry in [HEADER, file("Upper.txt", "U")])
    response = sample.ask("POST", "/commit/main", body, **{"Content-Type": content_type})
    wanted = 400 if content_type.startswith("application/json") else 200
    assert response.status == wanted, response.body


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("br", b"x", 400),
        ("gzip", b"x", 400),
        ("gzip", b"\x1f\x8b\x08", 400),
        ("deflate", b"x", 400),
        ("gzip, gzip", b"x", 400),
    ],
)
def test_bodies_in_unsupported_codings_are_refused(
    sample: SmallRepo, untouched: None, encoding: str, body: bytes, status: int
) -> None:
    response = sample.ask("POST", "/commit/main", body, **{"Content-Encoding": encoding})
    assert response.status == status, response.body


def test_bodies_above_their_limit_are_refused_with_the_setting(
    own_hub: Callable[..., ThreadHub],
) -> None:
    hub = own_hub(
        max_json_body_bytes=2000,
        max_commit_body_bytes=60_000,
        max_regular_file_bytes=5000,
        max_commit_operations=10,
        max_folder_entries=20,
        max_paths_info=3,
    )
    anna = hub.user()
    sample = SmallRepo(anna, anna.repo())
    before = hub.traces()
    big, many = "x" * 5001, [file(f"{n}/x") for n in range(11)]
    for response, setting in [
        (sample.commit(HEADER, file("a", big)), "max_regular_file_bytes"),
        (sample.commit(HEADER, file("a", "x" * 80_000)), "max_commit_body_bytes"),
        (sample.commit(HEADER, *many), "max_commit_operations"),
        (sample.ask("POST", "/paths-info/main", {"paths": ["a"] * 3000}), "max_json_body_bytes"),
        (sample.ask("POST", "/paths-info/main", {"paths": list("abcd")}), "max_paths_info"),
        (sample.ask("PUT", "/settings", {"gated": big}), "max_json_body_bytes"),
    ]:
        assert response.status == 413, response.body
        assert setting in response.message
    assert hub.traces() == before


def test_a_folder_has_a_limit_of_entries(own_hub: Callable[..., ThreadHub]) -> None:
    hub = own_hub(max_folder_entries=5)
    anna = hub.user()
    sample = SmallRepo(anna, anna.repo())
    before = hub.traces()
    response = sample.commit(HEADER, *[file(f"d/{n}") for n in range(6)])
    assert response.status in (400, 413), response.body
    assert "max_folder_entries" in response.message
    assert hub.traces() == before


def test_a_commit_with_the_maximum_of_operations_succeeds_and_one_more_fails(
    embedded_hub: ThreadHub,
) -> None:
    anna = embedded_hub.user()
    sample = SmallRepo(anna, anna.repo())
    most = embedded_hub.settings.commits.max_operations
    lines = [file(f"{n % 50}/{n}.txt", "") for n in range(most)]
    assert sample.commit(HEADER, *lines, file("one-more")).status == 413
    response = sample.commit(HEADER, *lines)
    assert response.status == 200, response.body
    assert len(anna.api.list_repo_files(sample.repo_id)) == most + 1


def test_a_truncated_commit_leaves_nothing(
    live_hub: ThreadHub, sample: SmallRepo, untouched: None
) -> None:
    body = b"\n".join(json.dumps(entry).encode() for entry in [HEADER, file("new")])
    with socket.create_connection(("127.0.0.1", live_hub.port), timeout=10) as wire:
        head = (
            f"POST /api/models/{sample.repo_id}/commit/main HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {sample.owner.token}\r\n"
            f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body) + 100}\r\n\r\n"
        )
        wire.sendall(head.encode() + body)
        wire.shutdown(socket.SHUT_WR)
        assert b"200 OK" not in wire.recv(4096)
