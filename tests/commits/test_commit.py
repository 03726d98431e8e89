"""The write path of all wires: racing nodes, rights that end, bytes without a right."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from sqlalchemy import select

from hubstead.accounts import Actor
from hubstead.blobs import BlobKey, BlobKind, Link, Sha256Verifier, register_upload
from hubstead.commits import (
    Changeset,
    Message,
    RefInTheWay,
    RefMove,
    RefMoved,
    RefName,
    WritePlan,
    commit,
    create_branch,
    create_tag,
    delete_repository,
    move_refs,
    resolve_revision,
    split_revision,
    squash,
)
from hubstead.commits.retries import retrying
from hubstead.errors import (
    BlobMissing,
    ConcurrentChange,
    EntryNotFound,
    Forbidden,
    HubError,
    InvalidInput,
    InvalidName,
    RefExists,
    RepoNotFound,
    RevisionNotFound,
    StaleParent,
    StorageFull,
)
from hubstead.outbox.tables import events
from hubstead.repos import Repo, Right, SettingsChange, change_settings
from tests.commits.conftest import CommitNode
from tests.support.factories import a_user, an_org
from tests.support.rows import reading

DATA = b"weights" * 100
OID = hashlib.sha256(DATA).hexdigest()
_EVENTS = reading(select(events.c.type).order_by(events.c.pk))


async def kinds_of_events(node: CommitNode) -> list[str]:
    return [row.type for row in await node.db.all(_EVENTS)]


async def upload(node: CommitNode, repo: Repo, data: bytes = DATA) -> None:
    """Upload an LFS object to a repository."""
    name = hashlib.sha256(data).hexdigest()
    key, path = BlobKey(BlobKind.LFS, name), node.stores.settings.data / "upload"
    path.write_bytes(data)
    await node.stores.blobs.put_file(key, path, Sha256Verifier(name, len(data)))
    await register_upload(
        node.db, node.stores.blobs, repo.pk, key, len(data), pusher_pk=None, hold_ms=60_000
    )


async def commit_pointer(node: CommitNode, repo: Repo, actor: Actor | None = None) -> None:
    """Commit a pointer to the object."""
    change = Changeset((await node.stores.open_git(repo)).draft(), node.stores.settings.commits)
    change.put_pointer("m.bin", OID, None)
    committer = actor or node.anna
    message = Message("commit_pointer")
    await commit(
        node.stores,
        committer,
        repo,
        target=RefName.branch("main"),
        right=Right.WRITE,
        changeset=change,
        message=message,
    )


@pytest.mark.shape_matters
async def test_racing_nodes_lose_no_file_of_either(node: CommitNode) -> None:
    two = node.other("git-2")
    repo = await node.make()
    writers = [(node, two)[n % 2] for n in range(8)]
    results = await asyncio.gather(
        *(writer.put(repo, {f"{n}": b"%d" % n}) for n, writer in enumerate(writers))
    )
    assert len({one.commit for one in results}) == 8
    assert await node.files(repo) == {f"{n}": b"%d" % n for n in range(8)}
    assert await two.files(repo) == await node.files(repo)
    row = await node.open(repo)
    assert row.head is not None
    assert (await node.git(repo)).count(row.head) == 9
    assert len(await kinds_of_events(node)) == 9  # one per commit, one for the repository


async def test_of_racing_nodes_with_one_parent_exactly_one_wins(node: CommitNode) -> None:
    repo = await node.make()
    writers = {"one": node, "two": node.other("git-2")}
    results = await asyncio.gather(
        *(writer.put(repo, {name: b""}, parent=repo.head) for name, writer in writers.items()),
        return_exceptions=True,
    )
    assert sorted(type(writer).__name__ for writer in results) == ["CommitResult", "StaleParent"]
    assert len(await node.files(repo)) == 1


async def test_a_right_that_ended_during_a_commit_is_checked_again(
    node: CommitNode,
) -> None:
    bo = await a_user(node.db, "bo")
    await an_org(node.db, "acme", node.anna, {"write": bo})
    repo = await node.make("acme-bert", creator=node.anna)
    with pytest.raises(Forbidden):
        await node.put(repo, {"a": b""}, actor=bo)
    hidden = SettingsChange(private=True)
    await change_settings(node.db, node.anna, repo.repo_id, hidden)
    with pytest.raises(RepoNotFound):
        await node.put(repo, {"a": b""}, actor=bo)
    assert await node.files(repo) == {}


async def test_a_repository_deleted_during_a_commit_refuses_it(
    node: CommitNode,
) -> None:
    repo = await node.make()
    await delete_repository(node.stores, node.anna, repo.repo_id)
    again = await node.make()
    with pytest.raises(HubError):
        await node.put(repo, {"a": b""})
    assert again.id != repo.id
    assert await node.files(again) == {}


async def test_a_known_hash_gives_no_right_to_the_bytes(node: CommitNode) -> None:
    bo = await a_user(node.db, "bo")
    secret = await node.make("secret", private=True)
    await upload(node, secret)
    await commit_pointer(node, secret)
    own = await node.make("bert", creator=bo)
    with pytest.raises(BlobMissing):
        await commit_pointer(node, own, bo)
    await change_settings(node.db, node.anna, secret.repo_id, SettingsChange(gated="auto"))
    await change_settings(node.db, node.anna, secret.repo_id, SettingsChange(private=False))
    with pytest.raises(BlobMissing):
        await commit_pointer(node, own, bo)
    await change_settings(node.db, node.anna, secret.repo_id, SettingsChange(gated=""))
    await commit_pointer(node, own, bo)  # what one may read one may copy


async def test_a_handwritten_pointer_follows_the_same_rule(node: CommitNode) -> None:
    repo = await node.make()
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize {len(DATA)}\n"
    with pytest.raises(BlobMissing):
        await node.put(repo, {"m.bin": text.encode()})
    await upload(node, repo)
    assert (await node.put(repo, {"m.bin": text.encode()})).changed
    wrong = text.replace(str(len(DATA)), "7")
    with pytest.raises(InvalidInput, match="700 bytes, not 7"):
        await node.put(repo, {"n.bin": wrong.encode()})


async def test_a_disk_that_is_almost_full_refuses_writes(node: CommitNode) -> None:
    repo = await node.make()
    full = node.limited(min_free_bytes=2**60)
    with pytest.raises(StorageFull):
        await full.put(repo, {"a": b""})
    with pytest.raises(StorageFull):
        await full.make("other")
    assert (await node.put(repo, {"a": b""})).changed


async def test_a_failed_write_is_reported_and_leaves_no_pack(node: CommitNode) -> None:
    repo = await node.make()
    before = sorted(node.stores.git.root.rglob("*"))
    for parent, branch, error in (
        ("f" * 40, "main", StaleParent),
        (None, "none", RevisionNotFound),
    ):
        change = Changeset((await node.git(repo)).draft(), node.stores.settings.commits)
        await change.put("a", b"A")
        with pytest.raises(error):
            await commit(
                node.stores,
                node.anna,
                repo,
                target=RefName.branch(branch),
                right=Right.WRITE,
                changeset=change,
                message=Message("x"),
                parent=parent,
            )
        change.draft.discard()
    change = Changeset((await node.git(repo)).draft(), node.stores.settings.commits)
    change.remove("none")
    with pytest.raises(EntryNotFound):
        await commit(
            node.stores,
            node.anna,
            repo,
            target=RefName.branch("main"),
            right=Right.WRITE,
            changeset=change,
            message=Message("x"),
        )
    assert sorted(node.stores.git.root.rglob("*")) == before
    assert len(await kinds_of_events(node)) == 1


# -- revisions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "revision", "rest"),
    [
        ("main/a/b", "main", "a/b"),
        ("feat/x/a", "feat/x", "a"),
        ("feat/x", "feat/x", ""),
        ("feat/y/a", "feat", "y/a"),
        ("v1/rc/a", "v1/rc", "a"),
        ("refs/pr/1/a/b", "refs/pr/1", "a/b"),
        ("refs/heads/feat/x/a", "refs/heads/feat/x", "a"),
        ("refs/tags/main/d/a", "refs/tags/main/d", "a"),
        ("none/a", "none", "a"),
        ("main/d/a", "main", "d/a"),
        ("dev/d/a", "dev", "d/a"),
        ("t/d/a", "t", "d/a"),
        ("HEAD/d/a", "HEAD", "d/a"),
        ("SHA/d/a", "SHA", "d/a"),
        ("SHORT/d/a", "SHORT", "d/a"),
        ("ffffffffffffffffffffffffffffffffffffffff/d", "f" * 40, "d"),
        ("a\0/d/e", "a\0", "d/e"),
        ("", "", ""),
    ],
)
async def test_the_first_segment_wins_over_longer_refs(
    node: CommitNode, path: str, revision: str, rest: str
) -> None:
    repo = await node.make()
    await create_branch(node.stores, node.anna, repo, "feat/x")
    sha = (await node.put(repo, {"a": b"x"})).commit
    repo = await node.open(repo)
    await create_branch(node.stores, node.anna, repo, "dev")
    await create_tag(node.stores, node.anna, repo, "t", revision="main")
    shadows = ["main/d", "dev/d", "HEAD/d", f"{sha}/d", f"{sha[:8]}/d", "f" * 40 + "/d"]
    with pytest.raises(RefInTheWay, match="cannot both exist"):
        await create_tag(node.stores, node.anna, repo, "t/d", revision="main")
    await create_branch(node.stores, node.anna, repo, "t/d")
    for name in ("v1/rc", *shadows):
        await create_tag(node.stores, node.anna, repo, name, revision="main")
    path, revision = (
        text.replace("SHA", sha).replace("SHORT", sha[:8]) for text in (path, revision)
    )
    segments = path.split("/") if path else []
    assert await split_revision(node.stores, repo, await node.git(repo), segments) == (
        revision,
        rest,
    )


async def test_a_revision_in_one_segment_is_one_name(node: CommitNode) -> None:
    repo = await node.make()
    segments = ["feat/x", "a", "b"]
    assert await split_revision(node.stores, repo, await node.git(repo), segments) == (
        "feat/x",
        "a/b",
    )


@pytest.mark.parametrize("digits", [40, 12])
async def test_a_sha_is_case_insensitive(node: CommitNode, digits: int) -> None:
    repo = await node.make()
    sha = (await node.put(repo, {"a": b"x"})).commit
    text = sha[:digits].upper()
    result = await resolve_revision(
        node.stores, node.anna, await node.open(repo), await node.git(repo), text
    )
    assert (result.commit, result.is_fixed) == (sha, True)


async def test_a_ref_cannot_have_the_name_of_a_commit(node: CommitNode) -> None:
    repo = await node.make()
    old = (await node.put(repo, {"a": b"x"})).commit
    new = (await node.put(repo, {"a": b"y"})).commit
    repo = await node.open(repo)
    for name in (old, old.upper(), old[:7], old[:39], old[:10].upper()):
        with pytest.raises(InvalidName, match="Invalid reference for a branch"):
            await create_branch(node.stores, node.anna, repo, name, start=old)
        with pytest.raises(InvalidName, match="Invalid reference for a branch"):
            await create_tag(node.stores, node.anna, repo, name, revision=new)
    await create_tag(node.stores, node.anna, repo, old[:7], revision=old)
    await create_branch(node.stores, node.anna, repo, "20261128")
    result = await resolve_revision(node.stores, node.anna, repo, await node.git(repo), old[:7])
    assert result.commit == old


async def test_refs_that_conflict_as_paths_of_git_are_refused(node: CommitNode) -> None:
    repo = await node.make()
    await create_branch(node.stores, node.anna, repo, "a/b")
    for name in ("a", "a/b/c"):
        with pytest.raises(RefInTheWay, match="cannot both exist") as refused:
            await create_branch(node.stores, node.anna, repo, name)
        assert refused.value.ref == f"refs/heads/{name}"
    with pytest.raises(RefExists):
        await create_branch(node.stores, node.anna, repo, "a/b")
    await create_branch(node.stores, node.anna, repo, "a-b")
    await create_branch(node.stores, node.anna, repo, "a/c")


@pytest.mark.parametrize("text", ["", "none", "abc", "f" * 40, "a\0", "refs/heads/none", "%"])
async def test_an_invalid_revision_is_an_error_that_names_it(node: CommitNode, text: str) -> None:
    repo = await node.make()
    with pytest.raises(RevisionNotFound):
        await resolve_revision(node.stores, node.anna, repo, await node.git(repo), text)


async def test_a_tree_is_not_a_revision(node: CommitNode) -> None:
    repo = await node.make()
    git = await node.git(repo)
    assert repo.head is not None
    with pytest.raises(RevisionNotFound):
        await resolve_revision(node.stores, node.anna, repo, git, git.tree_of(repo.head))
    tree = git.tree_of(repo.head)
    with pytest.raises(RevisionNotFound):
        await resolve_revision(node.stores, node.anna, repo, git, tree[:8])


async def test_a_later_commit_of_another_node_is_fetched(node: CommitNode) -> None:
    two = node.other("git-2")
    repo = await node.make()
    await two.put(repo, {"a": b"A"})  # ``repo`` was read before, on both nodes
    await node.put(repo, {"b": b"B"})
    assert await node.files(repo) == {"a": b"A", "b": b"B"}
    await two.put(repo, {"c": b"C"})
    commit = await squash(node.stores, node.anna, repo, "main", None)
    assert (await node.open(repo)).head == commit
    assert sorted(await two.files(repo)) == ["a", "b", "c"]


async def test_a_ref_update_checks_the_links_again(node: CommitNode) -> None:
    """An upload of a prepared write may be deleted before the write becomes visible."""
    repo = await node.make()
    link = Link(BlobKey(BlobKind.LFS, OID), len(DATA), "m.bin", "refs/heads/main")
    plan = WritePlan((RefMove("refs/heads/side", None, repo.head),), links=(link,))
    with pytest.raises(BlobMissing):
        await node.db.write(move_refs, node.anna, repo, plan, Right.WRITE)
    await upload(node, repo)
    await node.db.write(move_refs, node.anna, repo, plan, Right.WRITE)


async def test_an_attempt_is_repeated_only_after_a_lost_race_and_a_limited_number_of_times() -> (
    None
):
    calls = 0

    async def attempt() -> int:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise RefMoved(ref="refs/heads/main", oid="it is gone")
        if calls > 3:
            raise StorageFull()
        return calls

    with pytest.raises(ConcurrentChange):
        await retrying(attempt, attempts=2)
    assert await retrying(attempt) == 3
    with pytest.raises(StorageFull):
        await retrying(attempt)
    assert calls == 4
