"""Creates collections, with an item or without."""

from __future__ import annotations

from hubstead.accounts import Actor
from hubstead.collections.access import Collection, open_collection
from hubstead.collections.actions import CollectionLimits, NewCollection, insert_collection
from hubstead.collections.items import NewItem, insert_item
from hubstead.db import Database, Tx


async def create_collection(
    db: Database,
    actor: Actor,
    new: NewCollection,
    limits: CollectionLimits,
    item: NewItem | None = None,
) -> Collection:
    """Create a collection, the last of its owner's, and return it.

    Args:
        db: The database.
        actor: The caller.
        new: The collection.
        limits: How large collections grow.
        item: Its first item, if any; without it there is no collection either.

    Raises:
        InvalidInput: a text is too long, the title empty, or the kind of the item unknown.
        LoginRequired, Forbidden: the caller may not create anything under the namespace.
        CollectionExists: the owner has one with this title, in any case; with its slug.
        LimitReached: the owner has as many as the setting allows.
        NotFound: the item does not exist, or is hidden from the caller.
    """

    async def write(tx: Tx) -> Collection:
        created = await insert_collection(tx, actor, new, limits)
        if item is not None:
            await insert_item(tx, actor, created, item, limits)
        return await open_collection(tx, actor, created.id)

    return await db.write(write)
