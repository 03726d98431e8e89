"""Table of the room: what happened, written with the change itself."""

from sqlalchemy import BigInteger, Column, Index, Table, Text

from hubstead.db import Number, metadata, primary_key

#: Rows outlive the repository they speak of, so there is no foreign key.
events = Table(
    "event",
    metadata,
    primary_key(),
    Column("repo_pk", Number),
    Column("type", Text, nullable=False),
    Column("payload", Text, nullable=False),  # JSON of the event
    Column("created_ms", BigInteger, nullable=False),
    Column("told_ms", BigInteger),  # null until the rooms that listen have taken it up
    Index(None, "told_ms", "pk"),
    sqlite_autoincrement=True,
)
