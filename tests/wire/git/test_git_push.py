"""Pushes: accepted ones agree with the API, refused ones leave nothing."""

from __future__ import annotations

import errno
import hashlib
import html
import http.client
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.git import Clone, clone, push_body, tip, url
from tests.support.hub import ThreadHub
from tests.support.person import Person
from tests.support.processes import wait_until

from hubstead.accounts import reload_actor
from hubstead.commits import RefMove, WritePlan, author_of, move_refs
from hubstead.gitstore import GitStore, Staging
from hubstead.ids import Kind, RepoId
from hubstead.repos import Right, open_repo


@pytest.fixture
def anna(live_hub: ThreadHub) -> Person:
    return live_hub.user()


@pytest.fixture
def here(anna: Person, tmp_path: Path) -> Clone:
    """A clone of a new repository called ``bert``."""
    return clone(url(anna, anna.repo()), tmp_path / "w")


def test_a_push_and_the_api_have_one_history(anna: Person, here: Clone, tmp_path: Path) -> None:
    repo = anna.path("bert")
    oid = here.commit("README.md", "---\nlicense: mit\ntags: [x]\n---\n# Hi\n", "by git")
    here("push", "-q")
    info = anna.api.model_info(repo)
    assert info.sha == oid
    assert "license:mit" in (info.tags or [])
    path = anna.api.hf_hub_download(repo, "README.md", cache_dir=tmp_path / "cache")
    assert Path(path).read_text().endswith("# Hi\n")
    anna.api.upload_file(path_or_fileobj=b"2", path_in_repo="two.txt", repo_id=repo)
    here("pull", "-q", "--ff-only")
    assert [commit.title for commit in anna.api.list_repo_commits(repo)][1] == "by git"
    assert here("fsck", "--full", "--strict") == ""
    assert anna.call("HEAD", f"/{repo}/commit/{oid}").status == 200


def test_branches_and_tags_are_created_deleted_and_forced(
    live_hub: ThreadHub, anna: Person, here: Clone
) -> None:
    repo = anna.path("bert")
    first = here.commit("a", "1")
    here("push", "-q", "origin", "main", "main:dev", "main:refs/tags/light")
    here("tag", "-a", "v1", "-m", "one")
    here("push", "-q", "origin", "v1")
    refs = anna.call("GET", f"/api/models/{repo}/refs").json
    assert {tag["name"]: tag["targetCommit"] for tag in refs["tags"]} == {
        "light": first,
        "v1": first,
    }
    here("commit", "-q", "--amend", "-m", "other")
    assert "rejected" in here.refused("push", "origin", "main")
    here("push", "-q", "--force", "origin", "main")
    assert tip(live_hub, repo) == here("rev-parse", "HEAD").strip()
    here("push", "-q", "origin", ":dev", ":v1")
    refs = anna.call("GET", f"/api/models/{repo}/refs").json
    assert [branch["name"] for branch in refs["branches"]] == ["main"]
    assert [tag["name"] for tag in refs["tags"]] == ["light"]


def test_an_atomic_push_updates_all_refs_or_none(
    live_hub: ThreadHub, anna: Person, here: Clone
) -> None:
    repo = anna.path("bert")
    before = tip(live_hub, repo)
    here.commit("a", "1")
    output = here.refused("push", "--atomic", "origin", "main", "main:refs/pr/1")
    assert "atomic push failed" in output
    assert tip(live_hub, repo) == before
    assert "no pull request" in here.refused("push", "origin", "main", "main:refs/pr/1")
    assert tip(live_hub, repo) != before


@pytest.mark.parametrize(
    ("ref", "reason"),
    [
        ("refs/pr/1", "no pull request"),
        ("refs/convert/" + "a" * 40, "Invalid reference"),
        ("refs/hubstead/x", "only refs/heads/, refs/tags/ and refs/convert/"),
        ("refs/heads/" + "a" * 40, "Invalid reference"),
    ],
)
def test_hidden_and_invalid_refs_are_refused_with_a_reason(
    live_hub: ThreadHub, here: Clone, ref: str, reason: str
) -> None:
    before = live_hub.traces()
    here.commit("a", "1")
    assert reason in here.refused("push", "origin", f"HEAD:{ref}")
    assert live_hub.traces() == before


def test_a_conversion_is_pushed_fetched_and_deleted(
    anna: Person, here: Clone, tmp_path: Path
) -> None:
    repo, ref = anna.path("bert"), "refs/convert/parquet"
    here("checkout", "-q", "--orphan", "parquet")
    oid = here.commit("default/train/0000.parquet", "PAR1")
    here("push", "-q", url(anna, repo.replace("/", "%2F")), f"HEAD:{ref}")
    assert anna.api.list_repo_refs(repo).converts[0].target_commit == oid
    assert anna.call("GET", f"/{repo}/resolve/~parquet/default/train/0000.parquet").body == b"PAR1"
    other = clone(url(anna, repo), tmp_path / "other")
    other("fetch", "-q", "origin", f"{ref}:parquet")
    assert other("rev-parse", "parquet").strip() == oid
    here("tag", "-a", "v1", "-m", "one")
    assert "must point to a commit" in here.refused("push", "-f", "origin", f"v1:{ref}")
    here("push", "-q", "origin", f":{ref}")
    assert anna.api.list_repo_refs(repo).converts == []


def test_a_pushed_ref_never_shadows_the_address_of_a_commit(anna: Person, here: Clone) -> None:
    repo = anna.path("bert")
    old = here.commit("a", "1")
    here("push", "-q")
    new = here.commit("a", "2")
    wrong = [f"refs/{kind}/{name}" for kind in ("heads", "tags") for name in (old, old[:9])]
    wrong += ["refs/heads/refs/tags/v1", f"refs/heads/refs/tags/{old}"]
    output = here.refused("push", "origin", "main", "main:fine", *[f"{new}:{ref}" for ref in wrong])
    assert output.count("Invalid reference for a branch") == len(wrong), output
    here("push", "-q", "origin", f"{old}:refs/tags/{old[:9]}")
    output = here.refused("push", "-f", "origin", f"{new}:refs/tags/{old[:9]}")
    assert f"abbreviates commit {old}" in output
    refs = anna.call("GET", f"/api/models/{repo}/refs").json
    assert {ref["name"]: ref["targetCommit"] for ref in refs["branches"] + refs["tags"]} == {
        "main": new,
        "fine": new,
        old[:9]: old,
    }
    for spelling in (old, old[:9], old.upper()):
        assert anna.call("GET", f"/{repo}/resolve/{spelling}/a").body == b"1"


def test_the_default_branch_cannot_be_deleted(anna: Person, here: Clone) -> None:
    assert "Cannot delete refs/heads/main" in here.refused("push", "origin", ":main")


def test_a_large_plain_file_is_refused_with_the_way_to_lfs(
    live_hub: ThreadHub, here: Clone
) -> None:
    limit = live_hub.settings.lfs.threshold_bytes
    here.commit("large.dat", b"\0" * (limit - 1))
    here("push")
    before = live_hub.traces()
    here.commit("big.dat", b"\0" * limit)
    here("rm", "-q", "big.dat")
    here("commit", "-qm", "deleted, but in the history")
    output = here.refused("push")
    assert "lfs_threshold_bytes" in output
    assert "git lfs migrate import --include='big.dat'" in output
    assert live_hub.traces() == before


def test_a_pointer_needs_an_object_that_may_be_linked(
    live_hub: ThreadHub, anna: Person, here: Clone
) -> None:
    ben = live_hub.user("ben")
    secret = ben.repo("secret", private=True)
    content = b"weights of ben" * 1000
    ben.api.upload_file(path_or_fileobj=content, path_in_repo="w.bin", repo_id=secret)
    pointer = (
        "version https://git-lfs.github.com/spec/v1\n"
        f"oid sha256:{hashlib.sha256(content).hexdigest()}\nsize {len(content)}\n"
    )
    before = live_hub.traces()
    here.commit("stolen.bin", pointer)
    assert "git lfs push --all" in here.refused("push")
    assert live_hub.traces() == before
    anna.api.upload_file(path_or_fileobj=content, path_in_repo="w.bin", repo_id=anna.repo("own"))
    here("push", "-q")
    response = anna.call("GET", f"/{anna.path('bert')}/resolve/main/stolen.bin")
    assert response.body == content


@pytest.mark.parametrize("branch", ["main", "dev"])
def test_a_push_with_an_invalid_card_is_refused_in_the_words_of_the_hub(
    live_hub: ThreadHub, here: Clone, branch: str
) -> None:
    before = live_hub.traces()
    here.commit("README.md", "---\nlicense: no-such-license\ntags: 7\n---\n", "card")
    here.commit("b", "2")
    out = here.refused("push", "origin", f"HEAD:{branch}", "HEAD:refs/tags/v1")
    lines = [line.removeprefix("remote: ").rstrip() for line in out.splitlines()]
    start = lines.index("Sorry, your push was rejected during YAML metadata verification:")
    assert lines[start + 1].startswith('- Error: "license" must be one of [')
    assert lines[start + 2] == '- Error: "tags" must be a list'
    assert "Please find the documentation at:" in lines
    assert out.count("pre-receive hook declined") == 2
    assert live_hub.traces() == before
    here.commit("README.md", "---\nlicense: mit\ncolour: red\n---\n", "better")
    here("push", "-q", "origin", f"HEAD:{branch}")


def test_an_existing_card_does_not_stop_a_push(anna: Person, here: Clone) -> None:
    repo = anna.path("bert")
    broken = here.commit("README.md", "---\nlicense: no-such-license\n---\n", "card")
    here("push", "-q", "origin", "HEAD:refs/tags/old")  # tags refer to the past
    here("push", "-q", "origin", f"{broken}:main")
    here.commit("a", "1")
    out = here("push", "origin", "HEAD:main", "HEAD:dev", ok=False)
    assert "remote: warning: README.md" in out
    assert "rejected" not in out
    refs = anna.call("GET", f"/api/models/{repo}/refs").json
    assert {branch["name"] for branch in refs["branches"]} == {"main", "dev"}


def test_warnings_about_a_card_are_printed(here: Clone) -> None:
    here.commit("README.md", "---\npipeline_tag: unheard-of\n---\n", "card")
    out = here("push", ok=False)
    assert "remote: warning: README.md: The pipeline tag" in out
    assert "rejected" not in out


@pytest.mark.parametrize("path", [b"new\nline", b"caf\xe9", b"x" * 300])
def test_a_path_that_no_client_can_show_is_refused(
    live_hub: ThreadHub, here: Clone, path: bytes
) -> None:
    before = live_hub.traces()
    blob = here("hash-object", "-w", "--stdin", stdin=b"x").strip()
    tree = here("mktree", "-z", stdin=b"100644 blob %b\t%b\0" % (blob.encode(), path)).strip()
    commit = here("commit-tree", tree, "-m", "odd", "-p", "HEAD").strip()
    assert "Invalid path" in here.refused("push", "origin", f"{commit}:refs/heads/odd")
    assert live_hub.traces() == before


def test_links_and_submodules_are_safe_to_read(anna: Person, here: Clone) -> None:
    (here.path / "link").symlink_to("/etc/passwd")
    here("add", "link")
    head = here("rev-parse", "HEAD").strip()
    here("update-index", "--add", "--cacheinfo", f"160000,{head},sub")
    here("commit", "-qm", "odd modes")
    here("push", "-q")
    repo = anna.path("bert")
    assert anna.call("GET", f"/{repo}/resolve/main/link").body == b"/etc/passwd"
    assert anna.call("GET", f"/{repo}/resolve/main/sub").status == 404
    assert anna.call("GET", f"/api/models/{repo}/tree/main?recursive=1").status == 200


def test_modes_survive_updates_and_copies_over_the_api(anna: Person, here: Clone) -> None:
    repo, data = anna.path("bert"), b"#!\0 weights"
    for path in ("run", "old", "m.sh"):
        here.write(path, f"echo {path}")
        here.path.joinpath(path).chmod(0o755)
        here("add", path)
    here.path.joinpath("link").symlink_to("run")
    here("add", "link")
    here.commit("plain", "four")
    here("push", "-q")

    def line(key: str, **value: object) -> dict[str, object]:
        return {"key": key, "value": value}

    anna.api.upload_file(path_or_fileobj=data, path_in_repo="up.bin", repo_id=repo)
    large = {"oid": hashlib.sha256(data).hexdigest()}
    response = anna.commit(
        repo,
        line("copyFile", path="copies/run", srcPath="run"),
        line("copyFile", path="copies/link", srcPath="link"),
        line("file", path="run", content="changed"),
        line("file", path="plain", content="changed"),
        line("lfsFile", path="m.sh", **large),
        line("file", path="new", oldPath="old", content="renamed"),
        line("lfsFile", path="deep/er.bin", oldPath="m.sh", **large),
    )
    assert response.status == 200, response.body
    other = anna.repo("other")
    for path in ("copies/link", "new", "deep/er.bin", "plain"):
        source = {"srcPath": path, "srcRepo": {"type": "model", "name": repo}}
        assert anna.commit(other, line("copyFile", path=path, **source)).status == 200
    here("pull", "-q")
    copy = clone(url(anna, other), here.path.parent / "other")
    modes = {
        where: {row.split("\t")[1]: row.split()[0] for row in tree.splitlines()}
        for where, tree in (
            ("here", here("ls-tree", "-r", "HEAD")),
            ("there", copy("ls-tree", "-r", "HEAD")),
        )
    }
    plain = dict.fromkeys((".gitattributes", "plain"), "100644")
    run = dict.fromkeys(("new", "deep/er.bin"), "100755")
    assert modes["there"] == plain | run | {"copies/link": "120000"}
    more = {"up.bin": "100644", "link": "120000", "run": "100755", "copies/run": "100755"}
    assert modes["here"] == modes["there"] | more
    assert copy.path.joinpath("copies/link").readlink() == Path("run")


def test_users_without_the_right_to_write_are_refused(
    live_hub: ThreadHub, anna: Person, tmp_path: Path
) -> None:
    repo = anna.repo()
    ben = live_hub.user("ben")
    for who, reason in ((ben, "rights"), (anna.with_token("read"), "role read")):
        here = clone(url(who, repo), tmp_path / reason.replace(" ", "-"))
        here.commit("a", reason)
        out = here.refused("push")
        assert reason in out
    anonymous = clone(f"{live_hub.url}/{repo}", tmp_path / "anonymous")
    anonymous.commit("a", "?")
    assert "could not read Username" in anonymous.refused("push")


def test_of_two_pushes_one_wins_and_the_other_has_to_fetch_first(
    live_hub: ThreadHub, anna: Person, tmp_path: Path
) -> None:
    repo = anna.repo()
    clones = [clone(url(anna, repo), tmp_path / f"w{n}") for n in range(4)]
    oids = [member.commit(f"f{n}", f"{n}") for n, member in enumerate(clones)]
    outputs: dict[int, str] = {}

    def push(n: int) -> None:
        outputs[n] = clones[n]("push", ok=False)

    threads = [threading.Thread(target=push, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [n for n, text in outputs.items() if "rejected" not in text]
    assert len(winners) == 1
    assert tip(live_hub, repo) == oids[winners[0]]
    assert all("fetch first" in outputs[n] for n in outputs if n not in winners)
    loser = clones[next(n for n in outputs if n not in winners)]
    loser("pull", "-q", "--rebase")
    loser("push", "-q")


def test_a_stale_push_after_an_api_commit_has_to_fetch_first(anna: Person, here: Clone) -> None:
    here.commit("a", "1")
    anna.api.upload_file(path_or_fileobj=b"2", path_in_repo="b", repo_id=anna.path("bert"))
    assert "fetch first" in here.refused("push")


def test_a_commit_during_a_push_makes_the_push_fetch_first(
    live_hub: ThreadHub, anna: Person, here: Clone
) -> None:
    repo, old = anna.path("bert"), here("rev-parse", "HEAD").strip()
    new = here.commit("a", "1")
    pack = subprocess_pack(here, here("rev-list", "--objects", "HEAD").encode())
    body = push_body(old, new, "refs/heads/main", pack)

    def sent() -> Iterator[bytes]:
        yield body[:-10]
        wait_until(lambda: list(live_hub.settings.git_root.rglob("staging/tmp_*")))
        anna.api.upload_file(path_or_fileobj=b"2", path_in_repo="b", repo_id=repo)
        yield body[-10:]

    connection = http.client.HTTPConnection("127.0.0.1", live_hub.port, timeout=60)
    headers = {"Authorization": f"Bearer {anna.token}", "Content-Length": str(len(body))}
    connection.request("POST", f"/{repo}/git-receive-pack", sent(), headers)
    assert b"ng refs/heads/main fetch first" in connection.getresponse().read()
    connection.close()


def test_the_pack_of_a_deleted_branch_can_be_pushed_again(anna: Person, here: Clone) -> None:
    here.commit("a", "1")
    for _ in range(3):
        here("push", "-q", "origin", "HEAD:refs/heads/again")
        here("push", "-q", "origin", ":again")
    here("push", "-q", "origin", "HEAD:refs/heads/again")
    assert anna.call("GET", f"/{anna.path('bert')}/resolve/again/a").body == b"1"


def packed(*objects: bytes, count: int | None = None, spoil: bool = False) -> bytes:
    """Return a pack of framed objects."""
    body = b"PACK" + struct.pack(">II", 2, len(objects) if count is None else count)
    body += b"".join(objects)
    trailer = hashlib.sha1(body).digest()
    return body + (trailer[::-1] if spoil else trailer)


def framed(kind: int, content: bytes, size: int | None = None) -> bytes:
    """Return one object of a pack; ``size`` is its declared size."""
    rest = len(content) if size is None else size
    head = bytearray([kind << 4 | rest & 15])
    rest >>= 4
    while rest:
        head[-1] |= 128
        head.append(rest & 127)
        rest >>= 7
    return bytes(head) + zlib.compress(content)


def bomb(base: bytes, target_size: int) -> bytes:
    """Return a delta that inflates ``base`` by repeated copies of all of it."""

    def number(value: int) -> bytes:
        out = bytearray()
        while True:
            out.append(value & 127 | (128 if value > 127 else 0))
            value >>= 7
            if not value:
                return bytes(out)

    copy = bytes([0x80 | 0x10 | 0x20 | 0x40, *len(base).to_bytes(3, "little")])
    return number(len(base)) + number(target_size) + copy * (target_size // len(base))


def push_raw(
    person: Person, repo: str, body: bytes, new: str = "1" * 40, *, old: str = "0" * 40
) -> Any:
    sent = push_body(old, new, "refs/heads/x", body, can="side-band-64k")
    return person.call("POST", f"/{repo}/git-receive-pack", sent)


def test_broken_packs_and_bombs_are_refused_and_leave_nothing(
    live_hub: ThreadHub, anna: Person
) -> None:
    repo = anna.repo()
    before = live_hub.traces()
    blob = framed(3, b"x" * 100)
    base = b"\0" * 0xFFFFFF
    huge = framed(3, base)
    name = hashlib.sha1(b"blob %d\0" % len(base) + base).digest()
    delta = framed(7, bomb(base, 0xFFFFFF * 2000))
    delta = delta[: len(delta) - len(zlib.compress(bomb(base, 0xFFFFFF * 2000)))] + name
    delta += zlib.compress(bomb(base, 0xFFFFFF * 2000))
    for pack in (
        b"",
        b"PACK",
        b"nonsense" * 100,
        packed(blob, spoil=True),
        packed(blob, count=2),
        packed(blob)[:-30],
        packed(framed(3, b"x" * 100, size=50)),
        packed(framed(1, b"tree nonsense\n")),
        packed(huge, delta),
        packed(blob, count=50_000_000),
    ):
        out = push_raw(anna, repo, pack)
        assert out.status == 200
        assert b"ng refs/heads/x" in out.body, out.body
        assert live_hub.traces() == before
    assert not list(live_hub.settings.git_root.rglob("tmp_*"))


def test_requests_that_are_no_push_are_refused(anna: Person) -> None:
    repo = anna.repo()
    for body in (b"zzzz", b"0005a", b"0009hello0000", b"00"):
        assert anna.call("POST", f"/{repo}/git-receive-pack", body).status in (200, 400)
    assert anna.call("POST", f"/{repo}/git-receive-pack", b"0000").status == 200


def test_a_commit_with_a_missing_parent_is_refused(
    live_hub: ThreadHub, anna: Person, here: Clone
) -> None:
    before = live_hub.traces()
    here.commit("a", "1")
    here.commit("b", "2")
    only = here("rev-list", "--objects", "HEAD~1..HEAD", "--no-object-names").encode()
    oid = here("rev-parse", "HEAD").strip()
    pack = subprocess_pack(here, only)
    out = push_raw(anna, anna.path("bert"), pack, oid)
    assert b"ng refs/heads/x" in out.body
    assert live_hub.traces() == before


def subprocess_pack(here: Clone, names: bytes) -> bytes:
    stem = here("pack-objects", "-q", str(here.path / "packed"), stdin=names).strip()
    return (here.path / f"packed-{stem}.pack").read_bytes()


def test_a_shallow_clone_pushes_if_the_hub_has_the_rest(
    live_hub: ThreadHub, anna: Person, here: Clone, tmp_path: Path
) -> None:
    here.commit("a", "0")
    here.commit("a", "1")
    here("push", "-q")
    shallow = clone(url(anna, anna.path("bert")), tmp_path / "shallow", "--depth", "1")
    oid = shallow.commit("a", "2")
    shallow("push", "-q")
    assert tip(live_hub, anna.path("bert")) == oid
    other = anna.repo("other")
    before = live_hub.traces()
    out = shallow.refused("push", url(anna, other), "HEAD:refs/heads/x")
    assert "shallow update not allowed" in out
    assert "git fetch --unshallow" in out
    assert live_hub.traces() == before


def test_a_branch_below_another_is_refused_and_the_other_refs_are_not(
    live_hub: ThreadHub, anna: Person, here: Clone
) -> None:
    here.commit("a", "1")
    here("push", "-q", "origin", "HEAD:refs/heads/one/two")
    out = here.refused("push", "origin", "HEAD:refs/heads/one", "HEAD:refs/heads/three")
    assert "refs/heads/one and refs/heads/one/two cannot both exist" in out
    listed = here("ls-remote", "--heads", "origin")
    assert [line.rpartition("/")[2] for line in listed.splitlines()] == ["main", "two", "three"]
    assert "cannot both exist" in here.refused("push", "origin", "HEAD:refs/heads/three/four")


def test_a_ref_whose_name_is_not_utf8_is_refused_with_a_reason(here: Clone) -> None:
    here.commit("a", "1")
    out = here.refused(
        "push", "origin", b"HEAD:refs/heads/caf\xe9".decode(errors="surrogateescape")
    )
    assert "Invalid reference" in out


def literal(here: Clone, kind: str, content: bytes) -> str:
    options = ["-t", kind, "-w", "--literally", "--stdin"]
    return here("hash-object", *options, stdin=content).strip()


def odd_commit(here: Clone, *, author: bytes = b"A <a@x.org> 1 +0000", entry: bytes = b"") -> str:
    """Write a commit that today's git would not; ``entry`` is mode and name of a folder."""
    folder = bytes.fromhex(here("rev-parse", "HEAD^{tree}").strip())
    tree = literal(here, "tree", (entry or b"40000 d") + b"\0" + folder)
    head = here("rev-parse", "HEAD").strip()
    lines = [f"tree {tree}\nparent {head}\n".encode(), b"author ", author]
    return literal(
        here, "commit", b"".join(lines) + b"\ncommitter A <a@x.org> 99999999999999 +0000\n\nm\n"
    )


@pytest.mark.parametrize(
    "odd",
    [
        {"entry": b"040000 d"},
        {"author": b"A <a@x.org> 1 +051800"},
        {"author": b"A <a@x.org> 1 +0000\nauthor B <b@x.org> 2 +0000"},
    ],
    ids=["padded mode", "long time zone", "two authors"],
)
def test_commits_of_old_git_versions_are_pushed_and_read(
    live_hub: ThreadHub, anna: Person, here: Clone, tmp_path: Path, odd: dict[str, bytes]
) -> None:
    oid, repo = odd_commit(here, **odd), anna.path("bert")
    here("push", "-q", "origin", f"{oid}:refs/heads/main")
    assert anna.call("GET", f"/{repo}/resolve/main/d/.gitattributes").status == 200
    assert [entry.path for entry in anna.api.list_repo_tree(repo, expand=True)] == ["d"]
    assert anna.api.list_repo_commits(repo)[0].created_at.year == 9999
    anna.api.upload_file(path_or_fileobj=b"1", path_in_repo="d/new.txt", repo_id=repo)
    back = clone(url(anna, repo), tmp_path / "back")
    assert (back.path / "d/new.txt").read_bytes() == b"1"


def test_the_doctor_reports_no_fault_in_accepted_pushes(
    live_hub: ThreadHub, anna: Person, here: Clone
) -> None:
    odd = odd_commit(here, author=b"A <a@x.org> 1 +051800", entry=b"040000 d")
    tag = literal(here, "tag", f"object {odd}\ntype commit\ntag v0.1\n\nno tagger\n".encode())
    here("push", "-q", "origin", f"{odd}:refs/heads/main", f"{tag}:refs/tags/v0.1")
    folder = anna.call("GET", f"/api/models/{anna.path('bert')}").json["_id"]
    assert GitStore(live_hub.settings.git_root).fsck(folder, [odd, tag]) == []


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({"entry": b"40000 .git"}, "hasDotgit"),
        ({"entry": b"40000 .."}, "hasDotdot"),
        ({"author": b"A 1 +0000"}, "missingEmail"),
        ({"author": b"A <a@x.org> x +0000"}, "badDate"),
    ],
)
def test_harmful_or_unreadable_objects_are_refused_with_their_names(
    live_hub: ThreadHub, here: Clone, odd: dict[str, bytes], reason: str
) -> None:
    before = live_hub.traces()
    out = here.refused("push", "origin", f"{odd_commit(here, **odd)}:refs/heads/main")
    assert reason in out
    assert live_hub.traces() == before


@pytest.mark.parametrize("mode", ["777777", "100777", "40755", "120644", "0", "100664"])
def test_only_modes_of_git_are_pushed(
    live_hub: ThreadHub, anna: Person, here: Clone, mode: str
) -> None:
    """Below the tip as well: a history has each of its trees."""
    source = "HEAD^{tree}" if mode.startswith("40") else "HEAD:.gitattributes"
    blob = here("rev-parse", source).strip()
    tree = literal(here, "tree", f"{mode} f".encode() + b"\0" + bytes.fromhex(blob))
    odd = here("commit-tree", tree, "-p", "HEAD", "-m", "odd").strip()
    tip = here("commit-tree", "HEAD^{tree}", "-p", odd, "-m", "even").strip()
    before = live_hub.traces()
    if mode == "100664":
        here("push", "-q", "origin", f"{tip}:refs/heads/main")
        return
    out = here.refused("push", "origin", f"{tip}:refs/heads/main", f"{odd}:refs/heads/dev")
    assert f"has 'f' with mode {mode}" in out
    assert out.count("[remote rejected]") == 2
    assert live_hub.traces() == before


def test_stored_odd_modes_are_readable(live_hub: ThreadHub, anna: Person) -> None:
    repo = anna.repo()
    anna.commit(repo, {"key": "file", "value": {"path": "d/f", "content": "text"}})

    async def spoil() -> None:
        stores = live_hub.hub.stores
        actor = await reload_actor(live_hub.db, anna.pk)
        row = await open_repo(live_hub.db, actor, RepoId.parse(Kind.MODEL, repo), Right.WRITE)
        git, head = await stores.open_git(row), row.head
        assert head
        folder, file = git.entry(head, "d"), git.entry(head, "d/f")
        assert folder
        assert file
        with git.draft() as draft:
            rows = [(b"777777", b"f"), (b"100640", b"g")]
            below = draft.tree([(mode, name, bytes.fromhex(file.oid)) for mode, name in rows])
            root = draft.tree(
                [
                    (b"777777", b"a", bytes.fromhex(file.oid)),
                    (b"40000", b"d", bytes.fromhex(below)),
                    (b"40755", b"e", bytes.fromhex(folder.oid)),
                ]
            )
            commit = draft.commit(root, [head], author_of(actor), "odd", time_s=2_000_000_000)
            pack = draft.finish()
        pack = await stores.publish(pack)
        plan = WritePlan((RefMove("refs/heads/main", head, commit),), pack=pack)
        await live_hub.db.write(lambda tx: move_refs(tx, actor, row, plan, Right.WRITE))

    live_hub.run(spoil())
    api = f"/api/models/{repo}"
    for path in ("a", "d/f", "d/g", "e/f"):
        assert anna.call("GET", f"/{repo}/resolve/main/{path}").body == b"text", path
        assert anna.call("GET", f"/{repo}/blob/main/{path}").status == 200, path
    response = anna.call("GET", f"{api}/tree/main?recursive=1&expand=1")
    assert [item["path"] for item in response.json] == ["a", "d", "d/f", "d/g", "e", "e/f"]
    for target in (
        f"{api}/tree/main?expand=1",
        f"{api}?blobs=1",
        f"{api}/commits/main",
        f"{api}/compare/main..main",
        f"/{repo}",
        f"/{repo}/tree/main",
        f"/{repo}/tree/main/e",
        f"/{repo}/commits/main",
        f"/{repo}/commit/{tip(live_hub, repo)}",
    ):
        assert anna.call("GET", target).status == 200, target
    response = anna.call("POST", f"{api}/paths-info/main", {"paths": ["a", "e"], "expand": True})
    assert [item["type"] for item in response.json] == ["file", "directory"]
    response = anna.commit(repo, {"key": "file", "value": {"path": "d/f", "content": "new"}})
    assert response.status == 200
    assert anna.call("GET", f"/{repo}/resolve/main/d/f").body == b"new"


@pytest.mark.parametrize("step", ["feed", "finish", "kinds", "new_blobs", "paths", "install"])
def test_a_push_whose_check_fails_ends_in_a_report(
    live_hub: ThreadHub, anna: Person, here: Clone, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The disk fails at one step, with an error that no rule foresees."""

    def fail(*_arguments: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    before = live_hub.traces()
    here.commit("a", "1")
    with monkeypatch.context() as broken:
        broken.setattr(Staging, step, fail)
        out = here.refused("push", "origin", "main", "main:dev")
    assert out.count("[remote rejected]") == 2, out
    assert "failed to examine the push" in out
    assert live_hub.traces() == before
    here("push", "-q", "origin", "main")


@pytest.mark.parametrize(
    ("encoding", "text", "shown"),
    [
        ("ISO-8859-1", "Änderung".encode("latin-1"), "Änderung"),
        ("Shift_JIS", "変更".encode("shift_jis"), "変更"),
        ("x-sjis", "変更".encode("shift_jis"), "変更"),
        ("KOI8-R", "правка".encode("koi8-r"), "правка"),
        ("UTF-8", "Änderung".encode(), "Änderung"),
        ("UTF-8", b"\xc4nderung", "\ufffdnderung"),
        ("no-such-one", "Änderung".encode(), "Änderung"),
        ("no-such-one", b"\xc4nderung", "\ufffdnderung"),
        ("hex", b"c4", "c4"),
        ("rot13", b"abc", "abc"),
        ("unicode_escape", b"x\\u0041", "x\\u0041"),
        ("\xff", "Änderung".encode(), "Änderung"),
        ("a" * 300, "Änderung".encode(), "Änderung"),
        ("../os", b"abc", "abc"),
    ],
)
def test_a_commit_is_shown_in_its_declared_encoding(
    anna: Person, here: Clone, encoding: str, text: bytes, shown: str
) -> None:
    repo = anna.path("bert")
    head, tree = here("rev-parse", "HEAD", "HEAD^{tree}").split()
    person = b" <a@x.org> 2000000000 +0000\n"
    oid = literal(
        here,
        "commit",
        f"tree {tree}\nparent {head}\nauthor ".encode()
        + text
        + person
        + b"committer "
        + text
        + person
        + b"encoding "
        + encoding.encode("latin-1")
        + b"\n\n"
        + text
        + b"\n\n"
        + text
        + b"\n",
    )
    here("push", "-q", "origin", f"{oid}:refs/heads/main")
    api = f"/api/models/{repo}"
    listed = anna.call("GET", f"{api}/commits/main").json[0]
    assert (listed["title"], listed["message"]) == (shown, shown)
    assert listed["authors"][0]["user"] == shown
    for target in (f"/{repo}/commit/{oid}", f"/{repo}/commits/main"):
        assert html.escape(shown) in anna.call("GET", target).body.decode(), target
    anna.commit(repo, {"key": "file", "value": {"path": "new", "content": "x"}})
    item = anna.call("GET", f"{api}/tree/{oid}?expand=1").json[0]
    assert item["lastCommit"]["id"] == head


def test_a_real_history_is_pushed_at_once_and_cloned_identically(
    anna: Person, here: Clone, tmp_path: Path
) -> None:
    lines = []
    for n in range(1, 3001):
        lines.append(f"commit refs/heads/long\ncommitter A <a@example.org> {n} +0000\ndata 2\nc\n")
        text = f"{n}\n" * (n % 50 + 1)
        lines.append(f"M 644 inline d{n % 30}/f{n % 700}\ndata {len(text)}\n{text}\n")
    here("fast-import", "--quiet", stdin="".join(lines).encode())
    here("push", "-q", "origin", "long")
    back = clone(url(anna, anna.path("bert")), tmp_path / "back", "-b", "long")
    assert back("rev-parse", "HEAD") == here("rev-parse", "long")
    assert back("rev-list", "--count", "HEAD").strip() == "3000"
    assert back("fsck", "--full", "--strict") == ""
