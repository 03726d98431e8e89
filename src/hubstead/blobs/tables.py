"""Tables of blobs, links of repositories to them, upload holds, uploads and deletion pauses."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text, text

from hubstead.db import Number, metadata, primary_key

#: ``unreferenced_ms`` of a blob whose grace period is over: its bytes are being deleted.
DELETING = 0

blobs = Table(
    "blob",
    metadata,
    Column("kind", Text, primary_key=True),  # lfs, xorb, pack
    Column("name", Text, primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    # Null: live; else the time since which it is unreferenced, or `DELETING`.
    Column("doomed_ms", BigInteger, key="unreferenced_ms"),
    # LFS only. Null: the bytes are in the store. Else room ``xet`` assembles the object: 0, or the
    # time since which a plain copy that may still exist is unneeded.
    Column("folded_ms", BigInteger, key="reconstructable_ms"),
    # The time since which the stored bytes are known to be damaged; null: no check failed.
    Column("damaged_ms", BigInteger),
    # The stored name; null: the blob's own name.
    Column("stored", Text),
    Index(None, "unreferenced_ms"),
    Index(None, "reconstructable_ms"),
    Index(
        None,
        "kind",
        "stored",
        sqlite_where=text("stored IS NOT NULL"),
        postgresql_where=text("stored IS NOT NULL"),
    ),
    info={"backup": "copy"},
)

repo_blobs = Table(
    "repo_blob",
    metadata,
    Column("repo_pk", Number, ForeignKey("repo.pk", ondelete="CASCADE"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    Column("path", Text),  # of its first commit, for the list of LFS files
    Column("ref", Text),
    Column("pusher_pk", Number, ForeignKey("account.pk", ondelete="SET NULL")),
    Column("committed", Integer, nullable=False, server_default="0"),  # 0: uploaded only
    Column("created_ms", BigInteger, nullable=False),
    Index(None, "kind", "name"),
    info={"backup": "copy"},
)

#: A hold: protects an uploaded blob in one repository until a commit names it or time is over.
holds = Table(
    "hold",
    metadata,
    Column("repo_pk", Number, ForeignKey("repo.pk", ondelete="CASCADE"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("until_ms", BigInteger, nullable=False),
    Index(None, "until_ms"),
    Index(None, "kind", "name"),
    info={"backup": "copy"},
)

#: A multipart upload under way; its parts are in the store.
uploads = Table(
    "upload",
    metadata,
    primary_key(),
    Column("id", Text, nullable=False, unique=True),
    Column("repo_pk", Number, ForeignKey("repo.pk", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),  # the sha256 of the finished blob
    Column("bytes", BigInteger, nullable=False),
    Column("part_bytes", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Index(None, "repo_pk", "name"),
    Index(None, "expires_ms"),
    info={"backup": "skip"},
)

#: A pause: until it is over, no bytes are deleted, because a backup reads them.
deletion_pauses = Table(
    "deletion_pause",
    metadata,
    Column("id", Text, primary_key=True),
    Column("until_ms", BigInteger, nullable=False),
    info={"backup": "own"},
)

#: Changes of storage that the previous release does not understand, with the time of the
#: migration: nodes of both releases may use the database for a while after it.
storage_changes = Table(
    "storage_change",
    metadata,
    Column("name", Text, primary_key=True),
    Column("since_ms", BigInteger, nullable=False),
    info={"backup": "own"},
)
