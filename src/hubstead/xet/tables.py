"""Tables of the room: xorbs, files made of them, and where chunks are that clients ask for.

Names are *hash strings* (64 hex digits in the order that the wire has, see ``hashes.py``).
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from hubstead.db import Number, metadata, primary_key

#: A xorb: many chunks in one blob. Its bytes are the blob ``(xorb, blob)``, under a name that
#: was made up for them and is never used again: two clients may compress one xorb differently,
#: so its own hash does not say which bytes there are.
xorbs = Table(
    "xorb",
    metadata,
    primary_key(),
    Column("name", Text, nullable=False, unique=True),  # Merkle root of its chunks
    Column("blob", Text, nullable=False, unique=True),
    Column("bytes", BigInteger, nullable=False),  # as stored
    Column("unpacked", BigInteger, nullable=False),  # as chunks
    Column("chunks", Integer, nullable=False),
    Column("entries", LargeBinary, nullable=False),  # XorbIndex.pack(): 40 bytes a chunk
    Column("created_ms", BigInteger, nullable=False),
    Column("touched_ms", BigInteger, nullable=False),  # when a client last learned of it
    Column("doomed_ms", BigInteger),  # in quarantine since; null: live
    Index(None, "touched_ms"),
    Index(None, "doomed_ms"),
)

#: Who sent a xorb: to whom its presence is no news.
xorb_uploads = Table(
    "xorb_upload",
    metadata,
    Column("repo_pk", Number, ForeignKey("repo.pk", ondelete="CASCADE"), primary_key=True),
    Column("xorb_pk", Number, ForeignKey("xorb.pk", ondelete="CASCADE"), primary_key=True),
    Index(None, "xorb_pk"),
)

#: A file that can be put together from xorbs. Which repositories have it is told by their link
#: to the LFS object of the same sha256 (room ``blobs``), which was checked when it came.
xet_files = Table(
    "xet_file",
    metadata,
    primary_key(),
    Column("name", Text, nullable=False, unique=True),  # file hash
    Column("sha256", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("terms", LargeBinary, nullable=False),  # Terms.pack(): 44 bytes a term
    Column("created_ms", BigInteger, nullable=False),
    Column("touched_ms", BigInteger, nullable=False),
    Index(None, "sha256"),
)

#: Which xorbs the terms of a file need.
xet_file_xorbs = Table(
    "xet_file_xorb",
    metadata,
    Column("file_pk", Number, ForeignKey("xet_file.pk", ondelete="CASCADE"), primary_key=True),
    Column("xorb_pk", Number, ForeignKey("xorb.pk"), primary_key=True),
    Index(None, "xorb_pk"),
)

#: Where the chunks are that clients ask for: the first of a file, and about one in a thousand.
xet_chunks = Table(
    "xet_chunk",
    metadata,
    Column("hash", LargeBinary, primary_key=True),  # 32 raw bytes
    Column("xorb_pk", Number, ForeignKey("xorb.pk", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, nullable=False),  # which chunk of the xorb
    Index(None, "xorb_pk"),
)

#: The part of ``casUrl`` that makes clients forget what they believe to be stored. The newest
#: is given out; older ones are served until the tokens made with them are over.
xet_epochs = Table(
    "xet_epoch",
    metadata,
    Column("id", Text, primary_key=True),
    Column("created_ms", BigInteger, nullable=False),
)
