"""Blobs whose bytes are known to be damaged."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the mark."""
    op.add_column("blob", sa.Column("damaged_ms", sa.BigInteger(), nullable=True))
