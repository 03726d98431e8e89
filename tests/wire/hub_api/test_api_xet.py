"""The Hub's own addresses about Xet: tokens, hashes, and plain bytes for other clients."""

from __future__ import annotations

import hashlib
import random
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support.factories import a_repo
from tests.support.http import Response
from tests.support.hub import ThreadHub
from tests.support.person import Person

from hubstead.accounts import Actor, authenticate_token
from hubstead.ids import Kind, RepoId
from hubstead.repos import open_repo
from hubstead.xet import LfsObject, find_lfs_object

BIG = random.Random(1).randbytes(1 << 20) + b"0123456789" * 100_000
TINY = b"tiny, but binary by its name"
PLAIN = random.Random(2).randbytes(300_000)
FACTS = "application/vnd.xet-fileinfo+json"
KINDS = ("model", "dataset", "space", "kernel")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class MixedModel:
    """A model with files sent by Xet, by LFS, and inside the commit."""

    owner: Person
    repo_id: str
    sha: str
    others: dict[str, Person] = field(default_factory=dict)

    @property
    def hub(self) -> ThreadHub:
        return self.owner.hub

    def get(self, path: str, method: str = "GET", **headers: str) -> Response:
        return self.hub.call(method, f"/{self.repo_id}{path}", **headers)

    def api(self, path: str, body: Any = None, *, token: str = "", method: str = "") -> Response:
        target = f"/api/models/{self.repo_id}{path}"
        return self.hub.call(method or ("POST" if body else "GET"), target, body, token=token)

    def object_of(self, data: bytes, repo_id: str = "") -> LfsObject | None:
        """Return the row of an object in the store."""
        return object_of(self.hub, repo_id or self.repo_id, data)


def object_of(hub: ThreadHub, repo_id: str, data: bytes) -> LfsObject | None:
    async def look() -> LfsObject | None:
        repo = await open_repo(hub.db, Actor(), RepoId.parse(Kind.MODEL, repo_id))
        return await find_lfs_object(hub.db, repo.pk, sha256(data))

    return hub.run(look())


@pytest.fixture(scope="module")
def sample(live_hub: ThreadHub, tmp_path_factory: pytest.TempPathFactory) -> MixedModel:
    anna = live_hub.user("anna")
    repo = anna.repo()
    home = tmp_path_factory.mktemp("anna")
    folder = home / "files"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "big.bin").write_bytes(BIG)
    (folder / "tiny.bin").write_bytes(TINY)
    (folder / "small.txt").write_text("small")
    script = "api.upload_folder(repo_id=args[0], folder_path=args[1])"
    anna.python(script, repo, str(folder), home=home)
    anna.api.upload_file(path_or_fileobj=PLAIN, path_in_repo="plain.bin", repo_id=repo)
    anna.api.create_branch(repo, branch="feat/x")
    anna.api.create_tag(repo, tag="v1.0")
    sha = anna.api.model_info(repo).sha
    assert sha
    others = {
        "stranger": live_hub.user("stranger"),
        "owner with a read token": anna.with_token("read"),
        "stranger with a read token": live_hub.user("reader", role="read"),
    }
    return MixedModel(anna, repo, sha, others)


# -- tokens ------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["read", "write"])
def test_a_token_is_in_the_body_and_in_headers(sample: MixedModel, verb: str) -> None:
    before = int(time.time())
    response = sample.api(f"/xet-{verb}-token/main", token=sample.owner.token)
    assert response.status == 200
    body = response.json
    assert body == {
        "accessToken": response.headers["x-xet-access-token"],
        "exp": int(response.headers["x-xet-token-expiration"]),
        "casUrl": response.headers["x-xet-cas-url"],
    }
    assert re.fullmatch(re.escape(sample.hub.url) + r"/xet/\w+/\w+", body["casUrl"])
    seconds = sample.hub.settings.xet.token_seconds
    assert before + seconds <= body["exp"] <= time.time() + seconds
    assert seconds >= 3600
    assert response.headers["cache-control"] == "no-store"
    assert sample.owner.token not in response.body.decode()


@pytest.mark.parametrize("revision", ["main", "feat%2Fx", "feat/x", "v1.0", "HEAD", "SHA"])
@pytest.mark.parametrize("verb", ["read", "write"])
def test_a_token_is_issued_for_every_existing_revision(
    sample: MixedModel, verb: str, revision: str
) -> None:
    revision = revision.replace("SHA", sample.sha)
    response = sample.api(f"/xet-{verb}-token/{revision}", token=sample.owner.token)
    assert response.status == 200
    assert response.headers["x-repo-commit"] == sample.sha


@pytest.mark.parametrize("verb", ["read", "write"])
@pytest.mark.parametrize("revision", ["nope", "None", "a" * 40, "refs%2Fpr%2F1"])
def test_no_token_is_issued_for_a_missing_revision(
    sample: MixedModel, verb: str, revision: str
) -> None:
    response = sample.api(f"/xet-{verb}-token/{revision}", token=sample.owner.token)
    assert (response.status, response.code) == (404, "RevisionNotFound")
    assert "x-xet-access-token" not in response.headers


def test_writers_may_upload_and_readers_for_a_pull_request(sample: MixedModel) -> None:
    expected = {
        # who: (read, write, write for a pull request)
        "owner": (200, 200, 200),
        "stranger": (200, 403, 200),
        "owner with a read token": (200, 403, 403),
        "stranger with a read token": (200, 403, 403),
        "nobody": (200, 401, 401),
    }
    tokens = {name: person.token for name, person in sample.others.items()}
    tokens |= {"owner": sample.owner.token, "nobody": ""}
    for who, statuses in expected.items():
        requests = ("read-token/main", "write-token/main", "write-token/None?create_pr=1")
        responses = [sample.api(f"/xet-{suffix}", token=tokens[who]) for suffix in requests]
        assert tuple(suffix.status for suffix in responses) == statuses, who
        for suffix in responses:
            assert ("x-xet-access-token" in suffix.headers) == (suffix.status == 200)
            assert suffix.status == 200 or suffix.message


def test_a_private_repository_issues_no_tokens_to_strangers(sample: MixedModel) -> None:
    hidden = sample.owner.repo("hidden", private=True)
    for verb in ("read", "write"):
        for query in ("", "?create_pr=1"):
            target = f"/api/models/{hidden}/xet-{verb}-token/main{query}"
            response = sample.others["stranger"].call("GET", target)
            assert (response.status, response.code) == (404, "RepoNotFound")
            assert sample.hub.call("GET", target).status == 401


def test_a_gated_repository_issues_tokens_to_admitted_users(sample: MixedModel) -> None:
    gated = sample.owner.repo("gated-tokens")
    sample.owner.api.update_repo_settings(gated, gated="auto")
    for verb in ("read", "write"):
        target = f"/api/models/{gated}/xet-{verb}-token/main"
        response = sample.others["stranger"].call("GET", target)
        assert (response.status, response.code) == (403, "GatedRepo")
        assert sample.owner.call("GET", target).status == 200


def test_an_empty_repository_accepts_its_first_upload_on_the_default_branch_only(
    sample: MixedModel,
) -> None:
    hub, name = sample.hub, sample.owner.path("empty")
    anna = hub.run(authenticate_token(hub.db, sample.owner.token))
    empty = hub.run(a_repo(hub.db, anna, name))
    hub.hub.stores.git.create(empty.id)
    for revision, status in [("main", 200), ("refs%2Fheads%2Fmain", 200), ("other", 404)]:
        response = sample.owner.call("GET", f"/api/models/{name}/xet-write-token/{revision}")
        assert response.status == status, revision
    assert sample.owner.call("GET", f"/api/models/{name}/xet-read-token/main").status == 404


@pytest.mark.parametrize("kind", KINDS)
def test_repositories_of_every_kind_have_tokens(sample: MixedModel, kind: str) -> None:
    repo = sample.owner.repo(f"a-{kind}", kind)
    response = sample.owner.call("GET", f"/api/{kind}s/{repo}/xet-write-token/main")
    assert response.status == 200


def test_a_renamed_repository_redirects_to_its_tokens(sample: MixedModel) -> None:
    old, new = sample.owner.repo("old-name"), sample.owner.path("new-name")
    sample.owner.api.move_repo(old, new)
    response = sample.owner.call("GET", f"/api/models/{old}/xet-write-token/main?create_pr=1")
    assert response.status == 307
    assert response.headers["location"] == f"/api/models/{new}/xet-write-token/main?create_pr=1"


# -- resolve -----------------------------------------------------------------------------------


def links(response: Response) -> dict[str, str]:
    pairs = re.findall(r'<([^>]*)>; rel="([^"]*)"', response.headers["link"])
    return {rel: url for url, rel in pairs}


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("revision", ["main", "feat/x", "SHA"])
def test_a_xet_file_has_its_hash_and_links(sample: MixedModel, method: str, revision: str) -> None:
    response = sample.get(f"/resolve/{revision.replace('SHA', sample.sha)}/sub/big.bin", method)
    known = sample.object_of(BIG)
    assert known is not None
    assert known.file is not None
    assert response.status == 200
    assert response.headers["x-xet-hash"] == known.file
    assert response.headers["x-linked-etag"] == response.headers["etag"] == f'"{sha256(BIG)}"'
    assert response.headers["x-linked-size"] == response.headers["content-length"] == str(len(BIG))
    assert response.headers["x-repo-commit"] == sample.sha
    assert response.headers["accept-ranges"] == "bytes"
    assert response.body == (BIG if method == "GET" else b"")
    token_url = f"{sample.hub.url}/api/models/{sample.repo_id}/xet-read-token/{sample.sha}"
    access = sample.hub.call("GET", token_url.removeprefix(sample.hub.url)).json
    assert links(response) == {
        "xet-auth": token_url,
        "xet-reconstruction-info": f"{access['casUrl']}/v1/reconstructions/{known.file}",
    }


def test_the_address_of_the_reconstruction_accepts_the_token(sample: MixedModel) -> None:
    header_links = links(sample.get("/resolve/main/sub/big.bin", "HEAD"))
    token = sample.hub.call("GET", header_links["xet-auth"].removeprefix(sample.hub.url)).json[
        "accessToken"
    ]
    plan = header_links["xet-reconstruction-info"].removeprefix(sample.hub.url)
    for version in ("/v1/", "/v2/"):  # JavaScript requests the second (protocol/hub-api.md 5.2)
        response = sample.hub.call("GET", plan.replace("/v1/", version), token=token)
        assert response.status == 200
        assert sum(term["unpacked_length"] for term in response.json["terms"]) == len(BIG)


def test_resolve_cache_has_the_same_headers(sample: MixedModel) -> None:
    target = f"/api/resolve-cache/models/{sample.repo_id}/{sample.sha}/sub/big.bin"
    cached, plain = sample.hub.call("HEAD", target), sample.get("/resolve/main/sub/big.bin", "HEAD")
    assert cached.status == 200
    assert cached.headers["x-xet-hash"] == plain.headers["x-xet-hash"]
    assert cached.headers["link"] == plain.headers["link"]


def test_a_request_for_facts_gets_them_instead_of_bytes(sample: MixedModel) -> None:
    path = "/resolve/main/sub/big.bin"
    response = sample.get(path, Accept=f"{FACTS}, */*", Range="bytes=0-0")
    head = sample.get(path, "HEAD")
    assert response.status == 200
    assert response.headers["content-type"] == FACTS
    for name in ("x-xet-hash", "link", "x-linked-etag", "x-linked-size", "x-repo-commit"):
        assert response.headers[name] == head.headers[name]
    assert "Accept" in response.headers["vary"]
    assert "Accept" in head.headers["vary"]
    assert response.json == {
        "hash": head.headers["x-xet-hash"],
        "refreshUrl": links(head)["xet-auth"],
        "reconstructionUrl": links(head)["xet-reconstruction-info"],
        "etag": sha256(BIG),
        "size": len(BIG),
    }


def test_a_request_for_facts_of_another_file_gets_its_bytes(sample: MixedModel) -> None:
    for path, first in (("plain.bin", PLAIN[:1]), ("small.txt", b"s")):
        response = sample.get(f"/resolve/main/{path}", Accept=f"{FACTS}, */*", Range="bytes=0-0")
        assert (response.status, response.body) == (206, first)


def test_files_outside_of_xet_have_no_xet_headers(sample: MixedModel) -> None:
    for path in ("plain.bin", "small.txt"):
        for method in ("GET", "HEAD"):
            response = sample.get(f"/resolve/main/{path}", method)
            assert response.status == 200
            assert "x-xet-hash" not in response.headers
            assert "link" not in response.headers
    raw = sample.get("/raw/main/sub/big.bin")
    assert raw.body.startswith(b"version https://git-lfs.github.com/spec/v1\n")
    assert "x-xet-hash" not in raw.headers


def test_browsers_may_read_the_headers_of_xet(sample: MixedModel) -> None:
    response = sample.get("/resolve/main/sub/big.bin", Origin="https://example.org")
    assert response.headers["access-control-allow-origin"] == "https://example.org"
    exposed = {
        name.strip().lower()
        for name in response.headers["access-control-expose-headers"].split(",")
    }
    assert exposed >= {"x-xet-hash", "link", "x-linked-size", "x-linked-etag", "etag"}
    assert "content-range" in exposed
    assert {"Origin", "Accept"} <= {value.strip() for value in response.headers["vary"].split(",")}
    preflight = sample.get("/resolve/main/sub/big.bin", "OPTIONS", Origin="https://example.org")
    allowed = preflight.headers["access-control-allow-headers"]
    assert {"authorization", "range", "x-xet-session-id"} <= set(allowed.split(","))


def test_a_hash_is_hidden_from_those_who_may_not_read_its_file(sample: MixedModel) -> None:
    gated = gated_copy(sample)
    stranger = sample.others["stranger"]
    response = stranger.call("HEAD", f"/{gated}/resolve/main/sub/big.bin")
    assert response.status == 403
    assert "x-xet-hash" not in response.headers
    assert "link" not in response.headers
    for hidden in (
        stranger.call("GET", f"/api/models/{gated}/tree/main?recursive=1"),
        stranger.call("POST", f"/api/models/{gated}/paths-info/main", {"paths": ["sub/big.bin"]}),
        stranger.call("GET", f"/api/models/{gated}?blobs=1"),
    ):
        assert hidden.status == 200
        assert sha256(BIG).encode() in hidden.body
        assert b"xetHash" not in hidden.body
    owner = sample.owner.call("GET", f"/api/models/{gated}/tree/main?recursive=1")
    assert b"xetHash" in owner.body


def gated_copy(sample: MixedModel) -> str:
    target = sample.owner.path("gated-copy")
    if not sample.owner.api.repo_exists(target):
        response = sample.api("/duplicate", {"repository": target}, token=sample.owner.token)
        assert response.status == 200, response.body
        sample.owner.api.update_repo_settings(target, gated="auto")
    return target


# -- bytes for clients without Xet --------------------------------------------------------------

RANGES = [
    (0, 0),
    (0, 99),
    (len(BIG) - 1, len(BIG) - 1),
    (65_000, 66_000),
    (1, len(BIG) - 2),
    ((1 << 20) - 10, (1 << 20) + 10),
]


def test_a_xet_file_has_no_plain_bytes(sample: MixedModel) -> None:
    for data in (BIG, TINY):
        known = sample.object_of(data)
        assert known is not None
        assert not known.is_plain
    plain = sample.object_of(PLAIN)
    assert plain is not None
    assert plain.is_plain
    assert plain.file is None


@pytest.mark.parametrize("span", RANGES)
def test_any_part_of_a_xet_file_is_served_by_plain_http(
    sample: MixedModel, span: tuple[int, int]
) -> None:
    first, last = span
    response = sample.get("/resolve/main/sub/big.bin", Range=f"bytes={first}-{last}")
    assert response.status == 206
    assert response.headers["content-range"] == f"bytes {first}-{last}/{len(BIG)}"
    assert response.body == BIG[first : last + 1]


def test_random_ranges_of_a_xet_file_are_right(sample: MixedModel) -> None:
    chance = random.Random(7)
    for _ in range(20):
        first = chance.randrange(len(BIG))
        last = min(len(BIG) - 1, first + chance.randrange(300_000))
        response = sample.get("/resolve/main/sub/big.bin", Range=f"bytes={first}-{last}")
        assert response.body == BIG[first : last + 1], (first, last)


def test_a_xet_file_supports_conditions_like_any_other(sample: MixedModel) -> None:
    path, etag = "/resolve/main/sub/big.bin", f'"{sha256(BIG)}"'
    assert sample.get(path, Range=f"bytes={len(BIG) - 5}-").body == BIG[-5:]
    assert sample.get(path, Range="bytes=-7").body == BIG[-7:]
    several = sample.get(path, Range="bytes=100000-100009,2-6")
    assert several.headers["content-type"].startswith("multipart/byteranges")
    assert several.body.index(BIG[100_000:100_010]) < several.body.index(BIG[2:7])
    over = sample.get(path, Range=f"bytes={len(BIG)}-")
    assert (over.status, over.headers["content-range"]) == (416, f"bytes */{len(BIG)}")
    assert sample.get(path, If_None_Match=etag).status == 304
    assert sample.get(path, Range="bytes=0-1", If_Range=etag).status == 206
    assert sample.get(path, Range="bytes=0-1", If_Range='"other"').status == 200
    assert sample.get("/resolve/main/tiny.bin").body == TINY


def test_a_client_without_xet_reads_the_same(sample: MixedModel, tmp_path: Path) -> None:
    folder = Path(sample.owner.api.snapshot_download(sample.repo_id, local_dir=tmp_path))
    expected = {"sub/big.bin": BIG, "tiny.bin": TINY, "plain.bin": PLAIN, "small.txt": b"small"}
    for name, data in expected.items():
        assert (folder / name).read_bytes() == data


# -- lists -------------------------------------------------------------------------------------


def test_lists_of_files_have_the_hashes_of_xet_files(sample: MixedModel) -> None:
    known, tiny = sample.object_of(BIG), sample.object_of(TINY)
    assert known is not None
    assert tiny is not None
    expected = {"sub/big.bin": known.file, "tiny.bin": tiny.file}
    tree = sample.api("/tree/main?recursive=1").json
    listed_hashes = {item["path"]: item["xetHash"] for item in tree if "xetHash" in item}
    assert listed_hashes == expected
    paths = {"paths": ["sub/big.bin", "tiny.bin", "plain.bin", "small.txt", "sub"]}
    infos = sample.api("/paths-info/main", paths).json
    assert {item["path"]: item["xetHash"] for item in infos if "xetHash" in item} == expected
    siblings = sample.api("?blobs=true").json["siblings"]
    assert {s["rfilename"]: s["xetHash"] for s in siblings if "xetHash" in s} == expected
    stored = sample.api("/lfs-files", token=sample.owner.token).json
    assert {f["filename"]: f["xetHash"] for f in stored if "xetHash" in f} == expected
    assert {f["filename"] for f in stored} == {*expected, "plain.bin"}


def test_all_pages_of_a_tree_have_hashes(sample: MixedModel) -> None:
    first = sample.api("/tree/main?recursive=1&limit=4").json
    assert sum("xetHash" in item for item in first) < 2 or len(first) == 4
    entries: list[Any] = []
    target = f"/api/models/{sample.repo_id}/tree/main?recursive=1&limit=1"
    while target:
        response = sample.hub.call("GET", target)
        entries += response.json
        match = re.match(r"<([^>]+)>", response.headers.get("link", ""))
        target = match[1].removeprefix(sample.hub.url) if match else ""
    assert sum("xetHash" in item for item in entries) == 2


def test_the_real_client_reads_the_hash_from_the_tree(sample: MixedModel) -> None:
    known = sample.object_of(BIG)
    assert known is not None
    [info] = sample.owner.api.get_paths_info(sample.repo_id, ["sub/big.bin"])
    assert info.xet_hash == known.file  # type: ignore[union-attr]


def test_preupload_announces_xet(sample: MixedModel) -> None:
    response = sample.api("/revision/main?expand=xetEnabled")
    assert response.json == {
        "_id": response.json["_id"],
        "id": sample.repo_id,
        "xetEnabled": True,
    }


# -- copies and deletions ----------------------------------------------------------------------


def duplicate(
    sample: MixedModel, target: str, *files: Any, token: str = "", **how: Any
) -> Response:
    body = {"target": {"type": "model", "name": target}, "files": list(files), **how}
    return sample.api("/lfs-files/duplicate", body, token=token or sample.owner.token)


def test_large_files_are_copied_to_another_repository_without_a_transfer(
    sample: MixedModel,
) -> None:
    known = sample.object_of(BIG)
    assert known is not None
    bo = sample.others["stranger"]
    target = bo.repo("copies")
    file = {"xetHash": known.file, "sha256": sha256(BIG), "filename": "sub/big.bin"}
    plain = {"sha256": sha256(PLAIN)}
    response = duplicate(sample, target, file, plain, token=bo.token)
    assert (response.status, response.json) == (
        200,
        {"success": True, "processed": 2, "succeeded": 2, "failed": []},
    )
    pointers = [("copy.bin", BIG), ("plain.bin", PLAIN)]
    commit = bo.commit(target, *[lfs_file(path, data) for path, data in pointers])
    assert commit.status == 200
    for path, data in pointers:
        assert bo.call("GET", f"/{target}/resolve/main/{path}").body == data
    head = bo.call("HEAD", f"/{target}/resolve/main/copy.bin")
    assert head.headers["x-xet-hash"] == known.file


def lfs_file(path: str, data: bytes) -> dict[str, Any]:
    value = {"path": path, "algo": "sha256", "oid": sha256(data), "size": len(data)}
    return {"key": "lfsFile", "value": value}


def test_missing_files_are_listed_one_by_one(sample: MixedModel) -> None:
    known, tiny = sample.object_of(BIG), sample.object_of(TINY)
    assert known is not None
    assert tiny is not None
    target = sample.owner.repo("partly")
    wrong: list[dict[str, str | None]] = [
        {"xetHash": known.file, "sha256": sha256(TINY)},  # of another file
        {"xetHash": "0" * 64, "sha256": "0" * 64},
        {"sha256": "not a hash"},
        {},
    ]
    response = duplicate(sample, target, {"xetHash": tiny.file}, *wrong)
    assert response.status == 207
    assert not response.json["success"]
    assert (response.json["processed"], response.json["succeeded"]) == (5, 1)
    pairs = [(item["xetHash"], item["sha256"]) for item in response.json["failed"]]
    assert pairs == [(item.get("xetHash"), item.get("sha256")) for item in wrong]
    assert all(item["error"] for item in response.json["failed"])
    assert sample.object_of(TINY, target) is not None
    assert sample.object_of(BIG, target) is None


def test_the_hash_of_a_file_elsewhere_is_copied_like_one_that_does_not_exist(
    sample: MixedModel,
) -> None:
    known, bo = sample.object_of(BIG), sample.others["stranger"]
    assert known is not None
    source, target = bo.repo("source"), bo.repo("target")

    def ask(name: str, **more: str) -> Response:
        body = {
            "target": {"type": "model", "name": target},
            "files": [{"xetHash": name, **more}],
        }
        return bo.call("POST", f"/api/models/{source}/lfs-files/duplicate", body)

    for more in ({}, {"sha256": sha256(BIG)}, {"sha256": "0" * 64}):
        there, nowhere = ask(str(known.file), **more), ask("ab" * 32, **more)
        assert there.status == nowhere.status == 207
        assert there.body.replace(str(known.file).encode(), b"ab" * 32) == nowhere.body


def test_copies_need_the_right_to_read_the_source_and_to_write_the_target(
    sample: MixedModel,
) -> None:
    bo = sample.others["stranger"]
    file = {"sha256": sha256(BIG)}
    own, hidden = sample.owner.repo("mine"), sample.owner.repo("hidden-2", private=True)
    assert duplicate(sample, own, file, token=bo.token).status == 403
    response = duplicate(sample, hidden, file, token=bo.token)
    assert (response.status, response.code) == (404, "RepoNotFound")
    response = duplicate(sample, sample.owner.path("absent"), file)
    assert (response.status, response.code) == (404, "RepoNotFound")
    reading = sample.others["owner with a read token"]
    assert duplicate(sample, own, file, token=reading.token).status == 403
    assert (
        sample.hub.call(
            "POST",
            f"/api/models/{sample.repo_id}/lfs-files/duplicate",
            {"target": {"type": "model", "name": own}, "files": [file]},
        ).status
        == 401
    )
    target = bo.repo("from-gated")
    response = bo.call(
        "POST",
        f"/api/models/{gated_copy(sample)}/lfs-files/duplicate",
        {"target": {"type": "model", "name": target}, "files": [file]},
    )
    assert (response.status, response.code) == (403, "GatedRepo")
    assert sample.object_of(BIG, own) is None


def test_an_old_name_of_the_target_is_accepted(sample: MixedModel) -> None:
    old, new = sample.owner.repo("target-old"), sample.owner.path("target-new")
    sample.owner.api.move_repo(old, new)
    assert duplicate(sample, old, {"sha256": sha256(BIG)}).status == 200
    assert sample.object_of(BIG, new) is not None


def test_an_uncommitted_file_is_not_copied(sample: MixedModel) -> None:
    response = sample.owner.call(
        "POST",
        f"/{sample.repo_id}.git/info/lfs/objects/batch",
        {"operation": "upload", "objects": [{"oid": sha256(b"loose"), "size": 5}]},
    )
    href = response.json["objects"][0]["actions"]["upload"]["href"]
    assert sample.hub.call("PUT", href.removeprefix(sample.hub.url), b"loose").status == 200
    target = sample.owner.repo("no-loose")
    assert duplicate(sample, target, {"sha256": sha256(b"loose")}).status == 207


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"target": {"type": "model"}, "files": []},
        {"target": {"type": "model", "name": "a/b"}, "files": "all"},
        {"target": {"type": "moon", "name": "a/b"}, "files": []},
        {"target": {"type": "model", "name": "a/b"}, "files": [{"sha256": "0" * 64}] * 501},
        {"target": {"type": "model", "name": "//"}, "files": []},
    ],
    ids=["empty", "no name", "files no list", "no such kind", "too many", "no such name"],
)
def test_an_invalid_request_for_copies_is_refused_as_a_whole(sample: MixedModel, body: Any) -> None:
    response = sample.owner.call("POST", f"/api/models/{sample.repo_id}/lfs-files/duplicate", body)
    assert response.status == 400
    assert response.message


def test_the_client_copies_files_between_repositories(sample: MixedModel, tmp_path: Path) -> None:
    target = sample.owner.repo("by-client")
    script = """
    from huggingface_hub import CommitOperationCopy
    api.create_commit(args[1], [CommitOperationCopy(
        src_path_in_repo="sub/big.bin", path_in_repo="there.bin", src_repo_id=args[0],
        src_repo_type="model")],
        commit_message="copy")
    """
    sample.owner.python(script, sample.repo_id, target, home=tmp_path)
    assert sample.owner.call("GET", f"/{target}/resolve/main/there.bin").body == BIG


def test_a_xet_file_is_deleted_for_good(sample: MixedModel, tmp_path: Path) -> None:
    repo = sample.owner.repo("to-clean")
    data = random.Random(9).randbytes(200_000)
    (tmp_path / "removed.bin").write_bytes(data)
    script = "api.upload_file(repo_id=args[0], path_or_fileobj=args[1], path_in_repo='removed.bin')"
    sample.owner.python(script, repo, str(tmp_path / "removed.bin"), home=tmp_path)
    assert sample.object_of(data, repo) is not None
    [file] = sample.owner.api.list_lfs_files(repo)
    sample.owner.api.permanently_delete_lfs_files(repo, [file])
    assert sample.object_of(data, repo) is None
    assert sample.owner.call("GET", f"/{repo}/resolve/main/removed.bin").status == 404
    assert b"xetHash" not in sample.owner.call("GET", f"/api/models/{repo}/tree/main").body
