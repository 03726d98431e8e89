"""Packs of git that were folded into others, until their files are removed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "dead_pack",
        sa.Column("repo_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("repo_id", "name", name=op.f("pk_dead_pack")),
    )
    op.create_index(op.f("ix_dead_pack_since_ms"), "dead_pack", ["since_ms"], unique=False)
