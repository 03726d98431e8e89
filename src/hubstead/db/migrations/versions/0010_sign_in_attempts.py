"""Attempts to sign in, counted by all nodes together."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the table; the previous release counts in memory and ignores it."""
    op.create_table(
        "sign_in_attempt",
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_sign_in_attempt")),
    )
    op.create_index(op.f("ix_sign_in_attempt_until_ms"), "sign_in_attempt", ["until_ms"])
