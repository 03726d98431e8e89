"""Past names of accounts, which redirect."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the table; the previous release, which writes on beside, does not know it."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "account_alias",
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("account_pk", number, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_pk"],
            ["account.pk"],
            name=op.f("fk_account_alias_account_pk_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("name_key", name=op.f("pk_account_alias")),
    )
    op.create_index(op.f("ix_account_alias_account_pk"), "account_alias", ["account_pk"])
