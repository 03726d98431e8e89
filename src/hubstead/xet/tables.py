"""Tables of xorbs, of files, of the chunks that clients query, and of epochs.

Names are *hash strings*: 64 hex digits in the order of the wire, see ``hashes.py``.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from hubstead.db import Number, metadata, primary_key

#: A xorb: many chunks in one blob. The name of the blob is random and never used again, because two
#: clients may compress one xorb differently: the hash of the xorb does not determine its bytes.
xorbs = Table(
    "xorb",
    metadata,
    primary_key(),
    Column("name", Text, nullable=False, unique=True),  # Merkle root of its chunks
    Column("blob", Text, nullable=False, unique=True),
    Column("bytes", BigInteger, nullable=False),  # as stored
    Column("unpacked", BigInteger, nullable=False),  # as chunks
    Column("chunks", Integer, nullable=False),
    Column("entries", LargeBinary, nullable=False),  # XorbIndex.pack(): 40 bytes per chunk
    Column("created_ms", BigInteger, nullable=False),
    Column("touched_ms", BigInteger, nullable=False),  # when a client last learned of it
    Column("doomed_ms", BigInteger, key="quarantined_ms"),  # in quarantine since; null: live
    Index(None, "touched_ms"),
    Index(None, "quarantined_ms"),
    info={"backup": "copy"},
)

#: Uploads: users who may write to the repository already know that the xorb is stored.
xorb_uploads = Table(
    "xorb_upload",
    metadata,
    Column("repo_pk", Number, ForeignKey("repo.pk", ondelete="CASCADE"), primary_key=True),
    Column("xorb_pk", Number, ForeignKey("xorb.pk", ondelete="CASCADE"), primary_key=True),
    Index(None, "xorb_pk"),
    info={"backup": "copy"},
)

#: A file that can be reconstructed from xorbs. A repository has the file if it links to the LFS
#: object of the same sha256 (room ``blobs``), which was verified at registration.
xet_files = Table(
    "xet_file",
    metadata,
    primary_key(),
    Column("name", Text, nullable=False, unique=True),  # file hash
    Column("sha256", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("terms", LargeBinary, nullable=False),  # Terms.pack(): 44 bytes per term
    Column("created_ms", BigInteger, nullable=False),
    Column("touched_ms", BigInteger, nullable=False),
    Index(None, "sha256"),
    info={"backup": "copy"},
)

#: The xorbs in the terms of a file.
xet_file_xorbs = Table(
    "xet_file_xorb",
    metadata,
    Column("file_pk", Number, ForeignKey("xet_file.pk", ondelete="CASCADE"), primary_key=True),
    Column("xorb_pk", Number, ForeignKey("xorb.pk"), primary_key=True),
    Index(None, "xorb_pk"),
    info={"backup": "copy"},
)

#: Chunks that clients query: the first of a file, and about one in a thousand.
xet_chunks = Table(
    "xet_chunk",
    metadata,
    Column("hash", LargeBinary, primary_key=True),  # 32 raw bytes
    Column("xorb_pk", Number, ForeignKey("xorb.pk", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, nullable=False),  # which chunk of the xorb
    Index(None, "xorb_pk"),
    info={"backup": "copy"},
)

#: The part of ``casUrl`` whose change makes clients drop their caches. New tokens carry the newest;
#: older ones are served until their tokens have expired.
xet_epochs = Table(
    "xet_epoch",
    metadata,
    Column("id", Text, primary_key=True),
    Column("created_ms", BigInteger, nullable=False),
    info={"backup": "own"},
)
