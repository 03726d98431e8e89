"""Tables of the room: jobs, claimed under a lease, and nodes."""

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from hubstead.db import metadata, primary_key

#: A job may be claimed when both ``due_ms`` and ``lease_ms`` have passed.
jobs = Table(
    "job",
    metadata,
    primary_key(),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),  # one job per (type, subject) waits at a time
    Column("payload", Text, nullable=False, server_default="{}"),
    Column("due_ms", BigInteger, nullable=False),
    # How often the job was enqueued: a change means that it was enqueued again while it ran.
    Column("asked", Integer, nullable=False, server_default="1", key="generation"),
    Column("lease_ms", BigInteger, nullable=False, server_default="0"),  # when the claim expires
    Column("holder", Text),  # node and claim; null: unclaimed
    Column("attempts", Integer, nullable=False, server_default="0"),  # since the last success
    Column("error", Text),  # of the last attempt
    Column("created_ms", BigInteger, nullable=False),
    Index("ux_job_type_subject", "type", "subject", unique=True),
    Index(None, "due_ms"),
    info={"backup": "copy"},
)

#: The running nodes of this database.
nodes = Table(
    "node",
    metadata,
    Column("name", Text, primary_key=True),
    Column("difference_ms", BigInteger, nullable=False),  # the node's clock less the database's
    Column("seen_ms", BigInteger, nullable=False),  # by the database's clock
    info={"backup": "own"},
)
