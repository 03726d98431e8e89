"""The name under which the bytes of a blob are stored, apart from their digest."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column: null is the blob's own name, as before.

    The previous release looks for bytes under that name only. Where it may be running on this
    database, which then has accounts, a row says since when this release knows better.
    """
    op.add_column("blob", sa.Column("stored", sa.Text(), nullable=True))
    op.create_index(
        op.f("ix_blob_kind_stored"),
        "blob",
        ["kind", "stored"],
        unique=False,
        sqlite_where=sa.text("stored IS NOT NULL"),
        postgresql_where=sa.text("stored IS NOT NULL"),
    )
    op.create_table(
        "storage_change",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_storage_change")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "INSERT INTO storage_change (name, since_ms) SELECT 'stored_names',"
            " CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
            " WHERE EXISTS (SELECT 1 FROM account)"
        )
