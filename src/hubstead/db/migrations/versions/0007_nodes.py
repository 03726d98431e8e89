"""The nodes that share a database, each with how far its clock is from the database's."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the table, which the previous release does not need."""
    op.create_table(
        "node",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("difference_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_node")),
    )
