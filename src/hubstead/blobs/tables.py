"""Tables of the room: which blobs exist, which repository holds which, what is being uploaded."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text, text

from hubstead.db import Number, metadata, primary_key

#: ``doomed_ms`` of a blob whose grace period is over: its bytes are going.
DELETING = 0

blobs = Table(
    "blob",
    metadata,
    Column("kind", Text, primary_key=True),  # lfs, xorb, pack
    Column("name", Text, primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("doomed_ms", BigInteger),  # null: live. Else since when nothing has held it.
    # LFS only. Null: the bytes are in the store. Else they are put together by
    # room ``xet``: 0, or a time since when a plain copy, no longer needed, may still be there.
    Column("folded_ms", BigInteger),
    # Since when the bytes in the store are known to be wrong; null: nobody has found them so.
    Column("damaged_ms", BigInteger),
    # The name under which the store has the bytes; null: under the blob's own name.
    Column("stored", Text),
    Index(None, "doomed_ms"),
    Index(None, "folded_ms"),
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
    Column("path", Text),  # where it was first committed, for the list of LFS files
    Column("ref", Text),
    Column("pusher_pk", Number, ForeignKey("account.pk", ondelete="SET NULL")),
    Column("committed", Integer, nullable=False, server_default="0"),  # 0: uploaded only
    Column("created_ms", BigInteger, nullable=False),
    Index(None, "kind", "name"),
    info={"backup": "copy"},
)

#: Keeps an uploaded blob alive, for one repository, until it is committed or the time is over.
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
    Column("name", Text, nullable=False),  # the sha256 it will have
    Column("bytes", BigInteger, nullable=False),
    Column("part_bytes", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Index(None, "repo_pk", "name"),
    Index(None, "expires_ms"),
    info={"backup": "skip"},
)

#: While a row here is not over, nothing is deleted for good: a backup is reading.
deletion_pauses = Table(
    "deletion_pause",
    metadata,
    Column("id", Text, primary_key=True),
    Column("until_ms", BigInteger, nullable=False),
    info={"backup": "skip"},
)

#: What this release stores in a way that the previous one does not understand, and since when a
#: database has known of it that both may be at work on.
storage_changes = Table(
    "storage_change",
    metadata,
    Column("name", Text, primary_key=True),
    Column("since_ms", BigInteger, nullable=False),
    info={"backup": "skip"},
)
