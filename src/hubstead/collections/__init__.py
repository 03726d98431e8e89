"""Collections: titled lists of repositories, papers and other collections, and their upvotes.

Owns the tables of ``collections/tables.py``. Who may see and change a collection follows from its
owner by ``accounts/access.py``. Never shows an item whose target its caller may not see.
"""

from hubstead.collections.access import (
    Collection,
    find_collection,
    open_collection,
    require_collection_right,
)
from hubstead.collections.actions import (
    CollectionChange,
    CollectionLimits,
    NewCollection,
    change_collection,
    delete_collection,
    remove_collection,
)
from hubstead.collections.create import create_collection
from hubstead.collections.errors import CollectionExists, CollectionNotFound, ItemExists
from hubstead.collections.items import (
    CollectionItem,
    ItemChange,
    NewItem,
    add_item,
    change_items,
    list_items,
    remove_item,
)
from hubstead.collections.queries import (
    CollectionPage,
    CollectionQuery,
    every_collection,
    list_collections,
    position_of,
    visible_collections,
)
from hubstead.collections.slugs import collection_slug, object_id_of
from hubstead.collections.upvotes import (
    UpvoteCount,
    add_upvote,
    count_upvotes_of,
    release_upvotes,
    remove_upvote,
    upvoted_among,
    wrong_upvote_counts,
)

__all__ = [
    "Collection",
    "CollectionChange",
    "CollectionExists",
    "CollectionItem",
    "CollectionLimits",
    "CollectionNotFound",
    "CollectionPage",
    "CollectionQuery",
    "ItemChange",
    "ItemExists",
    "NewCollection",
    "NewItem",
    "UpvoteCount",
    "add_item",
    "add_upvote",
    "change_collection",
    "change_items",
    "collection_slug",
    "count_upvotes_of",
    "create_collection",
    "delete_collection",
    "every_collection",
    "find_collection",
    "list_collections",
    "list_items",
    "object_id_of",
    "open_collection",
    "position_of",
    "release_upvotes",
    "remove_collection",
    "remove_item",
    "remove_upvote",
    "require_collection_right",
    "upvoted_among",
    "visible_collections",
    "wrong_upvote_counts",
]
