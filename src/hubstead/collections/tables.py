"""Tables of the room: collections, their items, their upvotes."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from hubstead.db import Number, metadata, primary_key

collections = Table(
    "collection",
    metadata,
    primary_key(),
    Column("id", Text, nullable=False, unique=True),  # 24 hex, the end of its slug
    Column("owner_pk", Number, ForeignKey("account.pk", ondelete="CASCADE"), nullable=False),
    Column("creator_pk", Number, ForeignKey("account.pk", ondelete="SET NULL")),
    Column("title", Text, nullable=False),
    Column("title_key", Text, nullable=False),  # case folded
    Column("description", Text),
    Column("private", Integer, nullable=False),
    Column("theme", Text, nullable=False),
    Column("position", Integer, nullable=False),  # among its owner's; ties: the older one first
    Column("upvotes", BigInteger, nullable=False, server_default="0"),  # counted
    Column("created_ms", BigInteger, nullable=False),
    Column("modified_ms", BigInteger, nullable=False),
    Index("ux_collection_owner_title", "owner_pk", "title_key", unique=True),
    Index(None, "owner_pk", "modified_ms", "pk"),
    Index(None, "modified_ms", "pk"),
    Index(None, "upvotes", "pk"),
    sqlite_autoincrement=True,
    info={"backup": "copy"},
)

#: The target is a repository, a collection, or a paper, which is a name only.
items = Table(
    "collection_item",
    metadata,
    primary_key(),
    Column("id", Text, nullable=False, unique=True),
    Column(
        "collection_pk", Number, ForeignKey("collection.pk", ondelete="CASCADE"), nullable=False
    ),
    Column("kind", Text, nullable=False),  # a kind of repository, collection, paper
    Column("target", Text, nullable=False),  # id of the repository or collection; name of the paper
    Column("repo_pk", Number, ForeignKey("repo.pk", ondelete="CASCADE")),
    Column("target_pk", Number, ForeignKey("collection.pk", ondelete="CASCADE")),
    Column("note", Text),
    Column("position", Integer, nullable=False),  # ties: the older one first
    Column("created_ms", BigInteger, nullable=False),
    Index("ux_collection_item_target", "collection_pk", "kind", "target", unique=True),
    Index(None, "target", "collection_pk"),
    Index(None, "repo_pk"),
    Index(None, "target_pk"),
    info={"backup": "copy"},
)

#: ``collection.upvotes`` counts the rows of a collection.
upvotes = Table(
    "collection_upvote",
    metadata,
    Column(
        "collection_pk", Number, ForeignKey("collection.pk", ondelete="CASCADE"), primary_key=True
    ),
    Column("user_pk", Number, ForeignKey("account.pk", ondelete="CASCADE"), primary_key=True),
    Column("created_ms", BigInteger, nullable=False),
    Index(None, "user_pk"),
    info={"backup": "copy"},
)
