"""Creation of buckets."""

from __future__ import annotations

from hubstead.accounts import Actor
from hubstead.buckets.tables import buckets
from hubstead.db import Database, Tx, indexed, insert_into
from hubstead.ids import Kind, RepoId, new_object_id
from hubstead.outbox import record_event
from hubstead.repos import (
    NewRepo,
    Repo,
    RepoCreated,
    event_facts,
    insert_repo,
    open_namespace,
    open_repo,
    repo_subject,
    require_room_for_repo,
)

_INSERT = indexed(insert_into(buckets, "repo_pk"))


async def create_bucket(
    db: Database, actor: Actor, owner: str | None, name: str, *, private: bool, most: int
) -> Repo:
    """Create an empty bucket and return it.

    Args:
        db: The database.
        actor: The caller, who becomes the creator.
        owner: A user or organization; None for the caller.
        name: The name of the bucket.
        private: Whether only the owner sees it.
        most: The most repositories of an owner, buckets included.

    Raises:
        InvalidName: the name breaks a rule.
        LoginRequired, Forbidden: the caller may not create repositories in this namespace.
        LimitReached: the owner has ``most`` repositories.
        RepoExists: the name is taken.
    """
    return await db.write(_create, actor, owner, name, private=private, most=most)


async def _create(
    tx: Tx, actor: Actor, owner: str | None, name: str, *, private: bool, most: int
) -> Repo:
    namespace = await open_namespace(tx, actor, owner, lock=True)
    new = NewRepo(
        id=new_object_id(),
        kind=Kind.BUCKET,
        owner=namespace.name,
        owner_pk=namespace.pk,
        name=name,
        private=private,
    )
    pk = await insert_repo(tx, actor, new)
    await require_room_for_repo(tx, namespace.name, namespace.pk, most + 1)
    await tx.run(_INSERT, repo_pk=pk)
    repo = await open_repo(tx, actor, RepoId(Kind.BUCKET, namespace.name, name))
    await record_event(tx, repo_subject(repo.pk), RepoCreated(**event_facts(repo)))
    return repo
