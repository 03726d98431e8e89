"""Xet: xorbs, files made of them, chunks that clients ask for; LFS objects without plain bytes.

Older servers ignore all of it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables of Xet, and two things to the blobs."""
    op.add_column("blob", sa.Column("folded_ms", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_blob_folded_ms"), "blob", ["folded_ms"], unique=False)
    op.create_table(
        "deletion_pause",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deletion_pause")),
    )
    op.create_table(
        "xorb",
        sa.Column("pk", NUMBER, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("blob", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("unpacked", sa.BigInteger(), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("entries", sa.LargeBinary(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("touched_ms", sa.BigInteger(), nullable=False),
        sa.Column("doomed_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_xorb")),
        sa.UniqueConstraint("name", name=op.f("uq_xorb_name")),
        sa.UniqueConstraint("blob", name=op.f("uq_xorb_blob")),
    )
    op.create_index(op.f("ix_xorb_touched_ms"), "xorb", ["touched_ms"], unique=False)
    op.create_index(op.f("ix_xorb_doomed_ms"), "xorb", ["doomed_ms"], unique=False)
    op.create_table(
        "xorb_upload",
        sa.Column("repo_pk", NUMBER, nullable=False),
        sa.Column("xorb_pk", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(
            ["repo_pk"], ["repo.pk"], name=op.f("fk_xorb_upload_repo_pk_repo"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["xorb_pk"], ["xorb.pk"], name=op.f("fk_xorb_upload_xorb_pk_xorb"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repo_pk", "xorb_pk", name=op.f("pk_xorb_upload")),
    )
    op.create_index(op.f("ix_xorb_upload_xorb_pk"), "xorb_upload", ["xorb_pk"], unique=False)
    op.create_table(
        "xet_file",
        sa.Column("pk", NUMBER, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("terms", sa.LargeBinary(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("touched_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_xet_file")),
        sa.UniqueConstraint("name", name=op.f("uq_xet_file_name")),
    )
    op.create_index(op.f("ix_xet_file_sha256"), "xet_file", ["sha256"], unique=False)
    op.create_table(
        "xet_file_xorb",
        sa.Column("file_pk", NUMBER, nullable=False),
        sa.Column("xorb_pk", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(
            ["file_pk"],
            ["xet_file.pk"],
            name=op.f("fk_xet_file_xorb_file_pk_xet_file"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["xorb_pk"], ["xorb.pk"], name=op.f("fk_xet_file_xorb_xorb_pk_xorb")
        ),
        sa.PrimaryKeyConstraint("file_pk", "xorb_pk", name=op.f("pk_xet_file_xorb")),
    )
    op.create_index(op.f("ix_xet_file_xorb_xorb_pk"), "xet_file_xorb", ["xorb_pk"], unique=False)
    op.create_table(
        "xet_chunk",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("xorb_pk", NUMBER, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["xorb_pk"], ["xorb.pk"], name=op.f("fk_xet_chunk_xorb_pk_xorb"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("hash", "xorb_pk", name=op.f("pk_xet_chunk")),
    )
    op.create_index(op.f("ix_xet_chunk_xorb_pk"), "xet_chunk", ["xorb_pk"], unique=False)
    op.create_table(
        "xet_epoch",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_xet_epoch")),
    )
