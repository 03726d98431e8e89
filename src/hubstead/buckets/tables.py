"""Tables of the room: what buckets have beyond repositories, and their objects."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text

from hubstead.db import Number, metadata

#: Text whose order is that of its bytes on both engines; pages of a tree rely on it.
_NAME = Text().with_variant(Text(collation="C"), "postgresql")

#: Counted by the transactions that change objects.
buckets = Table(
    "bucket",
    metadata,
    Column("repo_pk", Number, ForeignKey("repo.pk", ondelete="CASCADE"), primary_key=True),
    Column("objects", BigInteger, nullable=False, server_default="0"),
    Column("bytes", BigInteger, nullable=False, server_default="0"),  # of all objects
    info={"backup": "copy"},
)

bucket_objects = Table(
    "bucket_object",
    metadata,
    Column("repo_pk", Number, ForeignKey("repo.pk", ondelete="CASCADE"), primary_key=True),
    Column("path", _NAME, primary_key=True),
    Column("file", Text, nullable=False),  # the hash of the Xet file, as the client sent it
    # The LFS object that the repository links for it; empty for an object without bytes.
    Column("sha256", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("mtime_ms", BigInteger),  # as the client sent it
    Column("mtime_nanos", BigInteger),  # as the client sent it
    Column("content_type", Text),
    Column("uploaded_ms", BigInteger, nullable=False),
    Index(None, "repo_pk", "sha256"),
    Index(None, "repo_pk", "uploaded_ms", "path"),
    info={"backup": "copy"},
)
