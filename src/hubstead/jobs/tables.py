"""Table of the room: work to be done later, claimed with a lease."""

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
    Column("asked", Integer, nullable=False, server_default="1"),  # how often it was enqueued
    Column("lease_ms", BigInteger, nullable=False, server_default="0"),  # until when it is claimed
    Column("holder", Text),  # node and claim, null while nobody works on it
    Column("attempts", Integer, nullable=False, server_default="0"),  # since it last went well
    Column("error", Text),  # of the last attempt
    Column("created_ms", BigInteger, nullable=False),
    Index("ux_job_type_subject", "type", "subject", unique=True),
    Index(None, "due_ms"),
    info={"backup": "copy"},
)

#: The nodes at work on this database.
nodes = Table(
    "node",
    metadata,
    Column("name", Text, primary_key=True),
    Column("difference_ms", BigInteger, nullable=False),  # the node's clock less the database's
    Column("seen_ms", BigInteger, nullable=False),  # by the database's clock
    info={"backup": "skip"},
)
