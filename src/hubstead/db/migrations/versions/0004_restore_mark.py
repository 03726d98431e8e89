"""The mark of a restore that is not complete."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "restore_mark",
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("begun_ms", sa.BigInteger(), nullable=False),
        sa.Column("loaded_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("snapshot", name=op.f("pk_restore_mark")),
    )
