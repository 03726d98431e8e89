"""Tables of the room: where refs point, and which packs hold the objects."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text

from hubstead.db import Number, metadata

refs = Table(
    "ref",
    metadata,
    Column("repo_pk", Number, ForeignKey("repo.pk", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),  # refs/heads/main
    Column("oid", Text, nullable=False),  # what the ref names: a commit, or a tag object
    Column("target", Text, nullable=False),  # the commit behind it
    Column("moved_ms", BigInteger, nullable=False),
    info={"backup": "copy"},
)

#: SQLite's primary key is by bytes as it is; that of PostgreSQL follows the database's collation.
Index("ix_ref_bytes", refs.c.repo_pk, refs.c.name.collate("C")).ddl_if(dialect="postgresql")

packs = Table(
    "pack",
    metadata,
    Column("repo_pk", Number, ForeignKey("repo.pk", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),  # 40 hex, as in pack-<name>.pack
    Column("objects", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    info={"backup": "copy"},
)

#: Git folders of deleted repositories, removed by a job after the grace period.
deleted_repos = Table(
    "dead_folder",
    metadata,
    Column("repo_id", Text, primary_key=True),
    Column("since_ms", BigInteger, nullable=False),
    Index(None, "since_ms"),
    info={"backup": "skip"},
)

#: Packs that a repack replaced; their files stay for the grace period.
retired_packs = Table(
    "dead_pack",
    metadata,
    Column("repo_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("since_ms", BigInteger, nullable=False),
    Index(None, "since_ms"),
    info={"backup": "skip"},
)
