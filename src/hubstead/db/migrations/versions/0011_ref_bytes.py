"""An index of refs by the bytes of their names, for the search below a name."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the index where the primary key follows the collation of the database."""
    if op.get_bind().dialect.name == "postgresql":
        op.create_index("ix_ref_bytes", "ref", ["repo_pk", sa.text('name COLLATE "C"')])
