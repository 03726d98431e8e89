"""Buckets and their objects."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the tables; the previous release, which writes on beside, does not know them."""
    op.create_table(
        "bucket",
        sa.Column("repo_pk", _NUMBER, nullable=False),
        sa.Column("objects", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        _of_repo("bucket"),
        sa.PrimaryKeyConstraint("repo_pk", name=op.f("pk_bucket")),
    )
    op.create_table(
        "bucket_object",
        sa.Column("repo_pk", _NUMBER, nullable=False),
        sa.Column("path", _NAME, nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ms", sa.BigInteger(), nullable=True),
        sa.Column("mtime_nanos", sa.BigInteger(), nullable=True),
        sa.Column("content_type", sa.Text(), nullable=True),
        sa.Column("uploaded_ms", sa.BigInteger(), nullable=False),
        _of_repo("bucket_object"),
        sa.PrimaryKeyConstraint("repo_pk", "path", name=op.f("pk_bucket_object")),
    )
    for columns in (["repo_pk", "sha256"], ["repo_pk", "uploaded_ms", "path"]):
        name = op.f(f"ix_bucket_object_{'_'.join(columns)}")
        op.create_index(name, "bucket_object", columns)


def _of_repo(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_repo_pk_repo")
    return sa.ForeignKeyConstraint(["repo_pk"], ["repo.pk"], name=name, ondelete="CASCADE")
