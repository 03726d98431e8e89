"""Manifests and blobs of the registry view."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Create the tables; they fill as models are pulled."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "registry_manifest",
        sa.Column("repo_pk", number, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("commit_oid", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("mapper", sa.Integer(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repo_pk"],
            ["repo.pk"],
            name=op.f("fk_registry_manifest_repo_pk_repo"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("repo_pk", "digest", name=op.f("pk_registry_manifest")),
    )
    op.create_index(
        op.f("ix_registry_manifest_repo_pk_commit_oid_path_form"),
        "registry_manifest",
        ["repo_pk", "commit_oid", "path", "form"],
    )
    op.create_index(op.f("ix_registry_manifest_used_ms"), "registry_manifest", ["used_ms"])
    op.create_table(
        "registry_blob",
        sa.Column("repo_pk", number, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("commit_oid", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("file_oid", sa.Text(), nullable=True),
        sa.Column("used_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repo_pk"], ["repo.pk"], name=op.f("fk_registry_blob_repo_pk_repo"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repo_pk", "digest", name=op.f("pk_registry_blob")),
    )
    op.create_index(op.f("ix_registry_blob_used_ms"), "registry_blob", ["used_ms"])
