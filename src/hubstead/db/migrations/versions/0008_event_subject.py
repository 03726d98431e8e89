"""The subject of an event: of any kind, beside the number of a repository."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the columns; in rows of the previous release, which writes on beside, they are null."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("event", sa.Column("subject_kind", sa.Text(), nullable=True))
    op.add_column("event", sa.Column("subject_pk", number, nullable=True))
