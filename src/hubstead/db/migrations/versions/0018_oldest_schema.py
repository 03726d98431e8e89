"""The oldest release that may serve the database, declared by the migrations that end support."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add the column; without a value no release is refused.

    A migration that removes what an earlier release needs sets it to the schema of the oldest
    release that can still serve: ``UPDATE alembic_version SET oldest = '…'``.
    """
    op.add_column("alembic_version", sa.Column("oldest", sa.Text()))
