"""LFS files given by one repository to another, so that a commit there can name them."""

from __future__ import annotations

from collections.abc import Sequence

from hubstead import blobs
from hubstead.accounts import Actor
from hubstead.blobs import BlobKey, BlobKind
from hubstead.commits.stores import Stores
from hubstead.db import Tx
from hubstead.errors import RepoMoved
from hubstead.ids import RepoId
from hubstead.repos import Repo, Right, open_repo, open_repo_by_id


async def copy_lfs_files(
    stores: Stores, actor: Actor, source: Repo, target: RepoId, names: Sequence[str]
) -> frozenset[str]:
    """Let a repository have LFS files of another one; no bytes are copied.

    They are kept for ``hold_seconds``, as if they had been uploaded, until a commit names them.

    Args:
        stores: Where the content is.
        actor: Who may read the source and write the target.
        source: The repository whose commits name the files.
        target: The one to have them; an old name will do.
        names: Their sha256.

    Returns:
        Those that the target has now; the others are not in the source.

    Raises:
        Those of ``open_repo`` (CONTENT for the source, WRITE for the target).
    """

    hold_ms = int(stores.settings.hold_seconds * 1000)

    async def copy(tx: Tx) -> frozenset[str]:
        opened = await _target(tx, actor, target)
        await open_repo_by_id(tx, actor, source.id, Right.CONTENT)
        rows = await blobs.held_many(tx, source.pk, BlobKind.LFS, names)
        given = set()
        # In one order always, so that two of these never wait for each other.
        for name, row in sorted(rows.items()):
            key = BlobKey(BlobKind.LFS, name)
            # What was uploaded but never committed is nobody's to read.
            if row.committed and await blobs.give(
                tx, opened.pk, key, row.bytes, pusher_pk=actor.pk, hold_ms=hold_ms
            ):
                given.add(name)
        return frozenset(given)

    return await stores.db.write(copy)


async def _target(tx: Tx, actor: Actor, named: RepoId) -> Repo:
    try:
        return await open_repo(tx, actor, named, Right.WRITE, lock=True)
    except RepoMoved as moved:
        target = moved.facts["to"]
        assert isinstance(target, RepoId)
        return await open_repo(tx, actor, target, Right.WRITE, lock=True)
