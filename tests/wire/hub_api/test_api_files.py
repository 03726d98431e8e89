"""Files and folders of a revision, as clients read them."""

from __future__ import annotations

import hashlib
import re
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast, get_args
from urllib.parse import quote, urlencode, urlsplit

import pytest
from huggingface_hub import get_hf_file_metadata, hf_api, snapshot_download
from huggingface_hub.errors import (
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tests.support.http import Response
from tests.support.hub import ThreadHub
from tests.support.person import Person
from tests.support.services import S3Server

LARGE = bytes(range(256)) * 40_000  # an LFS file of some 10 MB
TEXT = b"0123456789"


@dataclass(frozen=True)
class FilesModel:
    """A model with small and large files, a branch with a slash and a tag."""

    owner: Person
    repo_id: str
    sha: str

    def get(self, path: str, method: str = "GET", **headers: str) -> Response:
        return self.owner.hub.call(method, f"/{self.repo_id}{path}", **headers)

    def api(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> Response:
        return self.owner.hub.call(method, f"/api/models/{self.repo_id}{path}", body, **headers)


@pytest.fixture(scope="module")
def sample(live_hub: ThreadHub) -> FilesModel:
    anna = live_hub.user("anna")
    repo = anna.repo()
    anna.api.upload_file(path_or_fileobj=LARGE, path_in_repo="big/model.bin", repo_id=repo)
    lines = [
        {"key": "file", "value": {"path": path, "content": content}}
        for path, content in [
            ("a.txt", TEXT.decode()),
            ("empty", ""),
            ("page.html", "<script>alert(1)</script>"),
            ("sub/dir/ä b#?%.txt", "odd"),
            ("sub/x.json", "{}"),
            ("sub.txt", "between sub and sub/"),
        ]
    ]
    response = anna.commit(repo, *lines)
    anna.api.create_branch(repo, branch="feat/x")
    anna.api.create_tag(repo, tag="v1.0")
    return FilesModel(anna, repo, response.json["commitOid"])


# -- resolve -----------------------------------------------------------------------------------


def test_a_small_file_has_the_headers_that_clients_read(sample: FilesModel) -> None:
    for method in ("GET", "HEAD"):
        response = sample.get("/resolve/main/a.txt", method)
        assert response.status == 200
        assert response.body == (TEXT if method == "GET" else b"")
        assert response.headers["x-repo-commit"] == sample.sha
        assert (
            response.headers["etag"]
            == f'"{hashlib.sha1(b"blob 10" + bytes(1) + TEXT).hexdigest()}"'
        )
        assert response.headers["content-length"] == "10"
        assert response.headers["accept-ranges"] == "bytes"
        assert response.headers["content-disposition"].startswith("inline")
        assert 'filename="a.txt"' in response.headers["content-disposition"]
        assert "x-error-code" not in response.headers
        assert "content-encoding" not in response.headers


def test_a_large_file_has_its_hash_and_size(sample: FilesModel) -> None:
    sha256 = hashlib.sha256(LARGE).hexdigest()
    head = sample.get("/resolve/main/big/model.bin", "HEAD")
    assert head.status == 200
    assert head.headers["etag"] == f'"{sha256}"'
    assert head.headers["x-linked-etag"] == f'"{sha256}"'
    assert head.headers["x-linked-size"] == str(len(LARGE))
    assert head.headers["x-repo-commit"] == sample.sha
    assert sample.get("/resolve/main/big/model.bin").body == LARGE
    known = get_hf_file_metadata(
        f"{sample.owner.hub.url}/{sample.repo_id}/resolve/main/big/model.bin"
    )
    assert (known.etag, known.size, known.commit_hash) == (sha256, len(LARGE), sample.sha)


def test_head_of_a_large_file_is_answered_by_the_hub_and_get_redirects_to_s3(
    own_hub: Callable[..., ThreadHub],
) -> None:
    anna = own_hub("company", s3_direct_downloads=True).user("anna")
    repo_id = anna.repo()
    anna.api.upload_file(path_or_fileobj=LARGE, path_in_repo="model.bin", repo_id=repo_id)
    address = f"/{repo_id}/resolve/main/model.bin"
    response = anna.call("GET", address)
    assert response.status == 302
    # The store has other tags, so conditional requests are answered by the hub.
    conditional = {"If-Match": response.headers["etag"], "Range": "bytes=1-2"}
    part = anna.call("GET", address, **conditional)
    assert (part.status, part.body) == (206, LARGE[1:3])
    assert anna.call("GET", address, **conditional | {"If-Match": '"stale"'}).status == 412
    # The store would refuse the HEAD of a client that follows: the address is signed for GET.
    head = anna.call("HEAD", address)
    assert (head.status, head.headers["content-length"]) == (200, str(len(LARGE)))


def test_s3_sends_file_names_in_the_form_of_the_hub(own_hub: Callable[..., ThreadHub]) -> None:
    direct = own_hub("company", s3_direct_downloads=True).user("anna")
    repo_id = direct.repo()
    name = 'größe "1".bin'
    direct.api.upload_file(path_or_fileobj=LARGE, path_in_repo=name, repo_id=repo_id)
    address = f"/{repo_id}/resolve/main/{quote(name)}"
    for query in ("", "?download=true"):
        response = direct.call("GET", address + query)
        assert response.status == 302
        with urllib.request.urlopen(response.headers["location"], timeout=30) as direct_response:
            disposition = direct.call("HEAD", address + query).headers["content-disposition"]
            assert direct_response.headers["content-disposition"] == disposition
            assert direct_response.read() == LARGE


def test_the_store_runs_nothing_in_a_browser_and_its_addresses_live_for_minutes(
    own_hub: Callable[..., ThreadHub],
) -> None:
    hub = own_hub("company", s3_direct_downloads=True, lfs_threshold_bytes=100)
    anna = hub.user("anna")
    repo_id = anna.repo()
    types = {
        "a.svg": ("image/svg+xml", "attachment"),
        "a.xhtml": ("application/xhtml+xml", "attachment"),
        "a.html": ("text/plain; charset=utf-8", "inline"),
        "a.png": ("image/png", "inline"),
    }
    for name in types:
        anna.api.upload_file(path_or_fileobj=LARGE, path_in_repo=name, repo_id=repo_id)
    sha = anna.call("GET", f"/api/models/{repo_id}").json["sha"]
    for name, (media_type, disposition) in types.items():
        for rev in ("main", sha):
            response = anna.call("GET", f"/{repo_id}/resolve/{rev}/{name}")
            assert response.status == 302
            assert response.headers["cache-control"] == "no-store"
            assert "X-Amz-Expires=300&" in f"{response.headers['location']}&"
        with urllib.request.urlopen(response.headers["location"], timeout=30) as response:
            assert response.headers["content-type"] == media_type
            assert response.headers["content-disposition"].partition(";")[0] == disposition


def test_clients_are_sent_to_s3_under_the_name_that_they_know(
    own_hub: Callable[..., ThreadHub], s3_server: S3Server
) -> None:
    known_as = s3_server.options.endpoint.replace("127.0.0.1", "localhost")
    hub = own_hub("company", s3_direct_downloads=True, s3_public_endpoint=known_as)
    anna = hub.user("anna")
    repo_id = anna.repo()
    anna.api.upload_file(path_or_fileobj=LARGE, path_in_repo="model.bin", repo_id=repo_id)
    response = anna.call("GET", f"/{repo_id}/resolve/main/model.bin")
    assert response.status == 302
    assert response.headers["location"].startswith(f"{known_as}/")
    with urllib.request.urlopen(response.headers["location"], timeout=30) as direct_response:
        assert direct_response.read() == LARGE


@pytest.mark.parametrize("path", ["a.txt", "empty", "big/model.bin", "none", "sub"])
@pytest.mark.parametrize("prefix", ["/resolve/main/", "/raw/main/"])
def test_head_has_the_headers_of_get(sample: FilesModel, prefix: str, path: str) -> None:
    get, head = (sample.get(prefix + path, method) for method in ("GET", "HEAD"))
    for response in (get, head):
        for name in ("date", "x-request-id"):
            response.headers.pop(name)
    if get.status >= 400:  # see test_a_refused_head_promises_no_json
        get.headers.pop("content-type")
    assert (head.status, head.headers) == (get.status, get.headers)
    assert head.body == b""


@pytest.mark.parametrize("data", [TEXT, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    ("spec", "start", "stop"),
    [("bytes=0-0", 0, 1), ("bytes=3-5", 3, 6), ("bytes=4-", 4, None), ("bytes=-3", -3, None)],
)
def test_a_range_is_sent_as_requested(
    sample: FilesModel, data: bytes, spec: str, start: int, stop: int | None
) -> None:
    path = "a.txt" if data is TEXT else "big/model.bin"
    response = sample.get(f"/resolve/main/{path}", Range=spec)
    wanted = data[start:stop]
    first = start if start >= 0 else len(data) + start
    assert (response.status, response.body) == (206, wanted)
    where = f"bytes {first}-{first + len(wanted) - 1}/{len(data)}"
    assert response.headers["content-range"] == where
    assert response.headers["x-repo-commit"] == sample.sha


@pytest.mark.parametrize("spec", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_outside_of_the_file_is_refused_with_the_size(
    sample: FilesModel, spec: str
) -> None:
    response = sample.get("/resolve/main/a.txt", Range=spec)
    assert response.status == 416
    assert response.headers["content-range"] == "bytes */10"
    assert response.message


@pytest.mark.parametrize("spec", ["bytes=5-2", "lines=0-1", "bytes=a-b", "x"])
def test_an_invalid_range_gets_the_whole_file(sample: FilesModel, spec: str) -> None:
    response = sample.get("/resolve/main/a.txt", Range=spec)
    assert (response.status, response.body) == (200, TEXT)


@pytest.mark.parametrize(("path", "data"), [("a.txt", TEXT), ("big/model.bin", LARGE)])
def test_several_ranges_are_sent_as_parts(sample: FilesModel, path: str, data: bytes) -> None:
    response = sample.get(f"/resolve/main/{path}", Range="bytes=-2,0-1")
    assert response.status == 206
    kind, _, boundary = response.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/byteranges"
    first, second, end = response.body.split(f"--{boundary}".encode())[1:]
    assert first.partition(b"\r\n\r\n")[2] == data[-2:] + b"\r\n"
    assert second.partition(b"\r\n\r\n")[2] == data[:2] + b"\r\n"
    assert end == b"--\r\n"


def test_an_unchanged_file_is_not_sent_again(sample: FilesModel) -> None:
    etag = sample.get("/resolve/main/a.txt").headers["etag"]
    for condition in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        response = sample.get("/resolve/main/a.txt", **{"If-None-Match": condition})
        assert (response.status, response.body) == (304, b"")
        assert response.headers["etag"] == etag
        assert response.headers["x-repo-commit"] == sample.sha
    response = sample.get("/resolve/main/a.txt", **{"If-None-Match": '"x"'})
    assert (response.status, response.body) == (200, TEXT)
    for condition, status in ((etag, 206), ('"x"', 200)):
        response = sample.get("/resolve/main/a.txt", Range="bytes=1-2", **{"If-Range": condition})
        assert response.status == status


@pytest.mark.parametrize(
    "path",
    [
        "/resolve/main/a.txt",
        "/resolve/main/big/model.bin",
        "/raw/main/a.txt",
        "/resolve/main/empty",
    ],
)
def test_a_part_of_another_version_is_refused(sample: FilesModel, path: str) -> None:
    etag, whole = (response := sample.get(path)).headers["etag"], response.body
    for conditional in ({}, {"Range": "bytes=1-2"}, {"Range": "bytes=999999999-"}):
        for method in ("GET", "HEAD"):
            for stale in ('"stale"', f"W/{etag}"):
                response = sample.get(path, method, **conditional, **{"If-Match": stale})
                assert response.status == 412, (conditional, method, stale)
                assert response.headers["x-repo-commit"] == sample.sha
    for tags in (etag, "*", f'"x", {etag}'):
        response = sample.get(path, Range="bytes=1-2", **{"If-Match": tags})
        assert (response.status, response.body) == ((206, whole[1:3]) if whole else (200, b""))
        response = sample.get(path, **{"If-Match": tags, "If-None-Match": etag})
        assert response.status == 304


REVISIONS = ["main", "HEAD", "refs%2Fheads%2Fmain", "refs/heads/main", "feat%2Fx", "feat/x", "v1.0"]


@pytest.mark.parametrize("rev", [*REVISIONS, "SHA", "SHORT", "refs%2Ftags%2Fv1.0"])
def test_a_revision_may_be_written_in_every_form(sample: FilesModel, rev: str) -> None:
    rev = rev.replace("SHA", sample.sha).replace("SHORT", sample.sha[:7])
    assert sample.get(f"/resolve/{rev}/a.txt").body == TEXT
    assert sample.get(f"/raw/{rev}/a.txt").body == TEXT
    assert "a.txt" in [item["path"] for item in sample.api(f"/tree/{rev}").json]
    assert sample.api(f"/tree/{rev}/sub").status == 200
    assert sample.api(f"/revision/{rev}").json["sha"] == sample.sha
    assert sample.api(f"/paths-info/{rev}", "POST", {"paths": ["a.txt"]}).json[0]["size"] == 10
    assert sample.api(f"/commits/{rev}").json[0]["id"] == sample.sha


@pytest.mark.parametrize("rev", ["none", "none%2Fx", "f" * 40, "1234567", "refs%2Fpr%2F9", "a%20b"])
def test_a_missing_revision_is_an_error_with_its_name(sample: FilesModel, rev: str) -> None:
    for response in (
        sample.get(f"/resolve/{rev}/a.txt"),
        sample.get(f"/resolve/{rev}/a.txt", "HEAD"),
        sample.api(f"/tree/{rev}"),
        sample.api(f"/revision/{rev}"),
        sample.api(f"/commits/{rev}"),
        sample.api(f"/paths-info/{rev}", "POST", {"paths": []}),
    ):
        assert (response.status, response.code) == (404, "RevisionNotFound")
        assert response.message.startswith("Invalid rev id: ")
        assert "x-repo-commit" not in response.headers


@pytest.mark.parametrize(
    "path", ["none.txt", "sub", "sub/", "a.txt/", "a.txt/x", "sub//x.json", "./a.txt", ".", ""]
)
def test_a_missing_file_is_an_error_with_the_commit_that_lacks_it(
    sample: FilesModel, path: str
) -> None:
    for method in ("GET", "HEAD"):
        response = sample.get(f"/resolve/main/{path}", method)
        assert (response.status, response.code) == (404, "EntryNotFound")
        assert response.message == "Entry not found"
        assert response.headers["x-repo-commit"] == sample.sha


def test_a_refused_head_announces_no_json(sample: FilesModel) -> None:
    address = f"/{sample.owner.repo('unreadable', private=True)}/resolve/main/a.txt"
    for method, kind in [("GET", "application/json; charset=utf-8"), ("HEAD", None)]:
        for status, response in [
            (401, sample.owner.hub.call(method, address)),
            (404, sample.get("/resolve/main/none", method)),
        ]:
            assert (response.status, response.headers.get("content-type")) == (status, kind)
            assert response.headers["x-error-message"]


def test_odd_names_are_resolved_in_their_encoded_form(sample: FilesModel) -> None:
    for path in ("sub/dir/%C3%A4%20b%23%3F%25.txt", "sub%2Fdir%2F%C3%A4%20b%23%3F%25.txt"):
        response = sample.get(f"/resolve/main/{path}")
        assert response.body == b"odd"
        assert "filename*=UTF-8''%C3%A4%20b#%3F%25.txt" in response.headers["content-disposition"]
    assert "sub/dir/ä b#?%.txt" in sample.owner.api.list_repo_files(sample.repo_id)


def test_a_page_in_a_repository_never_runs_as_one(sample: FilesModel) -> None:
    response = sample.get("/resolve/main/page.html")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]
    download = sample.get("/resolve/main/page.html?download=true")
    assert download.headers["content-disposition"].startswith("attachment")


def test_raw_returns_the_content_in_git(sample: FilesModel) -> None:
    response = sample.get("/raw/main/big/model.bin")
    assert response.body.startswith(b"version https://git-lfs.github.com/spec/v1\noid sha256:")
    assert sample.get("/raw/main/none").code == "EntryNotFound"


def test_resolve_cache_accepts_full_shas_only(sample: FilesModel) -> None:
    prefix = f"/api/resolve-cache/models/{sample.repo_id}"
    response = sample.owner.hub.call("GET", f"{prefix}/{sample.sha}/a.txt")
    assert (response.status, response.body) == (200, TEXT)
    assert "immutable" in response.headers["cache-control"]
    assert sample.owner.hub.call("GET", f"{prefix}/main/a.txt").status == 400
    assert sample.owner.hub.call("GET", f"{prefix}/{'f' * 40}/a.txt").code == "RevisionNotFound"
    assert sample.owner.hub.call("GET", f"{prefix}/{sample.sha}/none").code == "EntryNotFound"
    assert "cache-control" not in sample.get("/resolve/main/a.txt").headers


def test_a_private_file_is_not_cacheable_by_shared_caches(sample: FilesModel) -> None:
    repo = sample.owner.repo("hidden", private=True)
    sha = sample.owner.api.model_info(repo).sha
    for rev in ("main", sha):
        response = sample.owner.call("GET", f"/{repo}/resolve/{rev}/.gitattributes")
        assert "public" not in response.headers["cache-control"]


def test_the_client_raises_its_own_exceptions(live_hub: ThreadHub, sample: FilesModel) -> None:
    api = sample.owner.api
    with pytest.raises(RemoteEntryNotFoundError):
        api.hf_hub_download(sample.repo_id, "none.txt")
    with pytest.raises(RevisionNotFoundError):
        api.hf_hub_download(sample.repo_id, "a.txt", revision="none")
    for caller in (api, live_hub.api()):
        with pytest.raises(RepositoryNotFoundError):
            caller.hf_hub_download(sample.owner.path("none"), "a.txt")
    assert api.file_exists(sample.repo_id, "a.txt")
    assert not api.file_exists(sample.repo_id, "none")
    assert api.revision_exists(sample.repo_id, "v1.0")
    assert not api.revision_exists(sample.repo_id, "none")
    assert not api.repo_exists(sample.owner.path("none"))


def test_a_snapshot_equals_the_repository(sample: FilesModel, tmp_path: Any) -> None:
    folder = tmp_path / "here"
    snapshot_download(
        sample.repo_id, endpoint=sample.owner.hub.url, local_dir=folder, cache_dir=tmp_path / "c"
    )
    assert (folder / "big" / "model.bin").read_bytes() == LARGE
    assert (folder / "sub" / "dir" / "ä b#?%.txt").read_bytes() == b"odd"


# -- trees -------------------------------------------------------------------------------------


def test_folders_are_listed_before_files_and_both_in_the_order_of_git(sample: FilesModel) -> None:
    items = sample.api("/tree/main").json
    names = ["big", "sub", ".gitattributes", "a.txt", "empty", "page.html", "sub.txt"]
    assert [item["path"] for item in items] == names
    by_path = {item["path"]: item for item in items}
    assert by_path["sub"] == {
        "type": "directory",
        "path": "sub",
        "size": 0,
        "oid": by_path["sub"]["oid"],
    }
    assert by_path["a.txt"]["type"] == "file"
    assert by_path["a.txt"]["size"] == 10
    assert by_path["a.txt"]["oid"] == hashlib.sha1(b"blob 10\0" + TEXT).hexdigest()
    assert sample.api("/tree/main/").json == items


@pytest.mark.parametrize("size", [1, 2, 3])
def test_folders_come_before_files_across_pages_too(sample: FilesModel, size: int) -> None:
    items, target = [], f"/api/models/{sample.repo_id}/tree/main?limit={size}"
    while target:
        page = sample.owner.call("GET", target)
        assert len(page.json) <= size
        items += page.json
        parts = urlsplit(page.headers.get("link", "").partition(">")[0][1:])
        target = f"{parts.path}?{parts.query}" if parts.path else ""
    assert items == sample.api("/tree/main").json


def test_a_recursive_tree_lists_folders_as_well(sample: FilesModel) -> None:
    items = sample.api("/tree/main/sub?recursive=true").json
    assert [(item["type"], item["path"]) for item in items] == [
        ("directory", "sub/dir"),
        ("file", "sub/dir/ä b#?%.txt"),
        ("file", "sub/x.json"),
    ]
    assert sample.api("/tree/main/sub%2Fdir").json == sample.api("/tree/main/sub/dir/").json


def test_large_files_have_both_sizes_and_hashes(sample: FilesModel) -> None:
    (item,) = sample.api("/tree/main/big").json
    pointer = sample.get("/raw/main/big/model.bin").body
    assert item["size"] == len(LARGE)
    assert item["oid"] == hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest()
    assert item["lfs"] == {
        "oid": hashlib.sha256(LARGE).hexdigest(),
        "size": len(LARGE),
        "pointerSize": len(pointer),
    }


def test_an_expanded_page_has_at_most_a_hundred_entries(sample: FilesModel) -> None:
    repo_id = sample.owner.repo("expanded")
    files = [{"key": "file", "value": {"path": f"{n}.txt", "content": "x"}} for n in range(110)]
    assert sample.owner.commit(repo_id, *files).status == 200
    address = f"/api/models/{repo_id}/tree/main?limit=1000"
    assert len(sample.owner.call("GET", address).json) > 100
    assert len(sample.owner.call("GET", f"{address}&expand=true").json) == 100
    listed = sample.owner.api.list_repo_tree(repo_id, expand=True)
    assert len(list(listed)) >= 110


def test_an_expanded_tree_has_the_last_commits(sample: FilesModel) -> None:
    items = {item["path"]: item for item in sample.api("/tree/main?expand=true").json}
    assert items["a.txt"]["lastCommit"]["id"] == sample.sha
    assert items["a.txt"]["lastCommit"]["title"] == "test"
    assert items["a.txt"]["lastCommit"]["date"].endswith("Z")
    assert items["big"]["lastCommit"]["id"] != sample.sha
    listed = sample.owner.api.list_repo_tree(sample.repo_id, expand=True)
    assert {entry.path for entry in listed} == items.keys()


@pytest.mark.parametrize("path", ["a.txt", "none", "sub/none", "sub/x.json/y", "..", "sub//dir"])
def test_a_path_that_is_no_folder_is_an_error_with_its_name(sample: FilesModel, path: str) -> None:
    response = sample.api(f"/tree/main/{path}")
    assert (response.status, response.code) == (404, "EntryNotFound")
    assert 'does not exist on "main"' in response.message


def test_a_thousand_and_one_entries_come_in_pages(sample: FilesModel) -> None:
    repo = sample.owner.repo("wide")
    lines = [
        {"key": "file", "value": {"path": f"{n:04}/f", "content": str(n)}} for n in range(1001)
    ]
    assert sample.owner.commit(repo, *lines).status == 200
    first = sample.owner.call("GET", f"/api/models/{repo}/tree/main?recursive=false&expand=false")
    assert len(first.json) == 1000
    link = first.headers["link"]
    assert link.startswith(f"<{sample.owner.hub.url}/api/models/{repo}/tree/main?recursive=false&")
    assert link.endswith('>; rel="next"')
    parts = urlsplit(link.partition(">")[0][1:])
    second = sample.owner.call("GET", f"{parts.path}?{parts.query}")
    assert "link" not in second.headers
    paths = [item["path"] for item in [*first.json, *second.json]]
    assert paths == [*(f"{n:04}" for n in range(1001)), ".gitattributes"]
    entries = list(sample.owner.api.list_repo_tree(repo, recursive=True))
    assert len(entries) == 2003
    small = sample.owner.call("GET", f"/api/models/{repo}/tree/main?limit=10")
    assert len(small.json) == 10


# -- paths -------------------------------------------------------------------------------------


def test_paths_are_requested_by_form_and_by_json(sample: FilesModel) -> None:
    paths = ["a.txt", "sub", "none", "big/model.bin", "a.txt"]
    response = sample.api("/paths-info/main", "POST", {"paths": paths})
    assert [(item["path"], item["type"]) for item in response.json] == [
        ("a.txt", "file"),
        ("sub", "directory"),
        ("big/model.bin", "file"),
    ]
    form = urlencode([("paths", path) for path in paths] + [("expand", "False")])
    typed = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert sample.api("/paths-info/main", "POST", form, **typed).json == response.json
    one = sample.api("/paths-info/main", "POST", {"paths": "a.txt", "expand": True}).json
    assert one[0]["lastCommit"]["id"] == sample.sha
    infos = sample.owner.api.get_paths_info(sample.repo_id, paths, expand=True)
    assert len(infos) == 3
    assert sample.api("/paths-info/main", "POST", {}).json == []


# -- info --------------------------------------------------------------------------------------


def test_info_lists_files_in_order_and_sizes_on_request(sample: FilesModel) -> None:
    info = sample.api("").json
    names = [file["rfilename"] for file in info["siblings"]]
    assert names == sorted(names, key=str.encode)
    assert info["siblings"][0] == {"rfilename": ".gitattributes"}
    files = {file["rfilename"]: file for file in sample.api("?blobs=true").json["siblings"]}
    assert files["a.txt"]["size"] == 10
    assert len(files["a.txt"]["blobId"]) == 40
    assert files["big/model.bin"]["lfs"]["sha256"] == hashlib.sha256(LARGE).hexdigest()
    shown = sample.owner.api.model_info(sample.repo_id, files_metadata=True, securityStatus=True)
    assert shown.siblings is not None
    assert shown.security_repo_status == {"scansDone": False, "filesWithIssues": []}


def test_info_is_about_the_requested_revision(sample: FilesModel) -> None:
    commits = sample.api("/commits/main").json
    first = sample.api(f"/revision/{commits[-1]['id']}").json
    assert [file["rfilename"] for file in first["siblings"]] == [".gitattributes"]
    assert first["sha"] == commits[-1]["id"]


def test_expanded_info_has_exactly_the_named_properties(sample: FilesModel) -> None:
    response = sample.api("?expand=sha&expand[]=private&expand%5B%5D=siblings")
    assert response.json.keys() == {"_id", "id", "sha", "private", "siblings"}
    refused = sample.api("?expand=sha&expand=none")
    assert refused.status == 400
    names = get_args(hf_api.ExpandModelProperty_T)
    quoted = re.findall(r'"([^"]+)"', refused.json["error"].partition("expected one of ")[2])
    assert {*quoted} == {*names, "gitalyUid", "xetEnabled"}
    for release in ("0.36.2", "1.20.1"):
        refused = sample.api("?expand=none", User_Agent=f"unknown/None; hf_hub/{release}; x")
        text = refused.json["error"].removeprefix('"expand" must be one of ')
        listed = text.strip("[]").split(", ")
        assert {*listed} == {*names, "gitalyUid", "xetEnabled"}
    assert sample.api("?expand=xetEnabled").json["xetEnabled"] is True


@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
def test_every_property_of_the_client_can_be_expanded(sample: FilesModel, kind: str) -> None:
    names = {
        "model": hf_api.ExpandModelProperty_T,
        "dataset": hf_api.ExpandDatasetProperty_T,
        "space": hf_api.ExpandSpaceProperty_T,
    }[kind]
    repo = sample.owner.repo(f"all-{kind}", kind)
    info = sample.owner.api.repo_info(repo, repo_type=kind, expand=cast(Any, list(get_args(names))))
    assert info.sha


def test_an_lfs_file_without_its_object_is_reported(sample: FilesModel) -> None:
    repo = sample.owner.repo("pointers")
    sample.owner.api.upload_file(path_or_fileobj=b"w" * 5000, path_in_repo="m.bin", repo_id=repo)
    sha = hashlib.sha256(b"w" * 5000).hexdigest()
    files = sample.owner.api.list_lfs_files(repo)
    sample.owner.api.permanently_delete_lfs_files(repo, files, rewrite_history=False)
    response = sample.owner.call("GET", f"/{repo}/resolve/main/m.bin")
    assert (response.status, response.code) == (404, "EntryNotFound")
    assert sha in sample.owner.call("GET", f"/{repo}/raw/main/m.bin").body.decode()


def test_a_file_with_a_dangling_pointer_is_uploaded_again_by_the_same_command(
    sample: FilesModel,
) -> None:
    repo = sample.owner.repo("dangling")
    sent: dict[str, Any] = {
        "path_or_fileobj": b"v" * 5000,
        "path_in_repo": "m.bin",
        "repo_id": repo,
    }
    sample.owner.api.upload_file(**sent)
    files = sample.owner.api.list_lfs_files(repo)
    sample.owner.api.permanently_delete_lfs_files(repo, files, rewrite_history=False)
    sample.owner.api.upload_file(**sent)
    assert sample.owner.call("GET", f"/{repo}/resolve/main/m.bin").body == b"v" * 5000
    (again,) = sample.owner.api.list_lfs_files(repo)
    assert again.size == 5000
