"""Table of the room: work to be done later, claimed with a lease."""

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from hubstead.db.schema import key, metadata

job = Table(
    "job",
    metadata,
    key(),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),  # one job per (type, subject) waits at a time
    Column("payload", Text, nullable=False, server_default="{}"),
    Column("due_ms", BigInteger, nullable=False),
    Column("lease_ms", BigInteger, nullable=False, server_default="0"),  # until when it is claimed
    Column("holder", Text),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("error", Text),
    Column("created_ms", BigInteger, nullable=False),
    Index("ux_job_type_subject", "type", "subject", unique=True),
    Index(None, "due_ms"),
)
