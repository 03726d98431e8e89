"""Tables of the room: likes."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table

from hubstead.db import Number, metadata

#: ``repo.likes`` counts the rows of a repository, changed in the transaction that changes them.
likes = Table(
    "repo_like",
    metadata,
    Column("repo_pk", Number, ForeignKey("repo.pk", ondelete="CASCADE"), primary_key=True),
    Column("user_pk", Number, ForeignKey("account.pk", ondelete="CASCADE"), primary_key=True),
    Column("created_ms", BigInteger, nullable=False),
    Index(None, "repo_pk", "created_ms", "user_pk"),
    Index(None, "user_pk", "created_ms", "repo_pk"),
    info={"backup": "copy"},
)
