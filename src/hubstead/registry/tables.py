"""Tables of computed manifests and blobs. Any row can be computed again from its commit."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
)

from hubstead.db import Number, metadata

#: A manifest as it was sent, so that it stays addressable by its digest.
registry_manifests = Table(
    "registry_manifest",
    metadata,
    Column("repo_pk", Number, ForeignKey("repo.pk", ondelete="CASCADE"), primary_key=True),
    Column("digest", Text, primary_key=True),  # 64 hex digits
    Column("commit_oid", Text, nullable=False),  # the newest one that has it
    Column("form", Text, nullable=False),
    Column("path", Text, nullable=False),  # of the model file
    Column("mapper", Integer, nullable=False),  # the version of the mapping
    Column("media_type", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("used_ms", BigInteger, nullable=False),
    Index(None, "repo_pk", "commit_oid", "path", "form"),
    Index(None, "used_ms"),
    info={"backup": "skip"},
)

#: A blob that is no LFS object: a config, a template, parameters, a licence, or a model in git.
registry_blobs = Table(
    "registry_blob",
    metadata,
    Column("repo_pk", Number, ForeignKey("repo.pk", ondelete="CASCADE"), primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("commit_oid", Text, nullable=False),  # the newest one that has it
    Column("body", LargeBinary),  # null: the file object below
    Column("file_oid", Text),
    Column("used_ms", BigInteger, nullable=False),
    Index(None, "used_ms"),
    info={"backup": "skip"},
)
