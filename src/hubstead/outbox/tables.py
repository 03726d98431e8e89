"""Table of the room: events."""

from sqlalchemy import BigInteger, Column, Index, Table, Text

from hubstead.db import Number, metadata, primary_key

#: Rows outlive the subject that they name, so there is no foreign key.
events = Table(
    "event",
    metadata,
    primary_key(),
    Column("repo_pk", Number),  # of a repository; the previous release knows no other subject
    Column("type", Text, nullable=False),
    Column("payload", Text, nullable=False),  # JSON of the event
    Column("created_ms", BigInteger, nullable=False),
    Column("told_ms", BigInteger),  # null until its dispatch
    Column("subject_kind", Text),  # null in rows of the previous release
    Column("subject_pk", Number),
    Index(None, "told_ms", "pk"),
    sqlite_autoincrement=True,
    info={"backup": "copy"},
)
