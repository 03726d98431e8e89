"""Likes, followers and the profiles of accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add two tables and a column that the previous release, which writes on beside, ignores."""
    _add_pairs("repo_like", ("repo_pk", "repo"), ("user_pk", "account"))
    _add_pairs("follower", ("followed_pk", "account"), ("user_pk", "account"))
    op.add_column("account", sa.Column("profile", sa.Text(), nullable=False, server_default="{}"))


def _add_pairs(table: str, *sides: tuple[str, str]) -> None:
    """Add a table of pairs, with an index that lists them by either side, newest first."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    names = [column for column, _ in sides]
    op.create_table(
        table,
        *[sa.Column(column, number, nullable=False) for column in names],
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        *[
            sa.ForeignKeyConstraint(
                [column],
                [f"{target}.pk"],
                name=op.f(f"fk_{table}_{column}_{target}"),
                ondelete="CASCADE",
            )
            for column, target in sides
        ],
        sa.PrimaryKeyConstraint(*names, name=op.f(f"pk_{table}")),
    )
    for first, last in (names, names[::-1]):
        columns = [first, "created_ms", last]
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns)
