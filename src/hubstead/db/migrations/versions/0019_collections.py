"""Collections, their items and their upvotes."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables; the previous release, which writes on beside, does not know them."""
    _add_collections()
    _add_items()
    op.create_table(
        "collection_upvote",
        sa.Column("collection_pk", _NUMBER, nullable=False),
        sa.Column("user_pk", _NUMBER, nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        _reference("collection_upvote", "collection_pk", "collection"),
        _reference("collection_upvote", "user_pk", "account"),
        sa.PrimaryKeyConstraint("collection_pk", "user_pk", name=op.f("pk_collection_upvote")),
    )
    _indexes("collection_upvote", ("user_pk",))


def _reference(
    table: str, column: str, target: str, ondelete: str = "CASCADE"
) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{target}")
    return sa.ForeignKeyConstraint([column], [f"{target}.pk"], name=name, ondelete=ondelete)


def _indexes(table: str, *columns: tuple[str, ...]) -> None:
    for names in columns:
        op.create_index(op.f(f"ix_{table}_{'_'.join(names)}"), table, list(names))


def _add_collections() -> None:
    op.create_table(
        "collection",
        sa.Column("pk", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner_pk", _NUMBER, nullable=False),
        sa.Column("creator_pk", _NUMBER),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("title_key", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("private", sa.Integer(), nullable=False),
        sa.Column("theme", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("upvotes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("modified_ms", sa.BigInteger(), nullable=False),
        _reference("collection", "owner_pk", "account"),
        _reference("collection", "creator_pk", "account", "SET NULL"),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_collection")),
        sa.UniqueConstraint("id", name=op.f("uq_collection_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ux_collection_owner_title", "collection", ["owner_pk", "title_key"], unique=True
    )
    _indexes(
        "collection",
        ("owner_pk", "modified_ms", "pk"),
        ("modified_ms", "pk"),
        ("upvotes", "pk"),
    )


def _add_items() -> None:
    op.create_table(
        "collection_item",
        sa.Column("pk", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("collection_pk", _NUMBER, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("repo_pk", _NUMBER),
        sa.Column("target_pk", _NUMBER),
        sa.Column("note", sa.Text()),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        _reference("collection_item", "collection_pk", "collection"),
        _reference("collection_item", "repo_pk", "repo"),
        _reference("collection_item", "target_pk", "collection"),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_collection_item")),
        sa.UniqueConstraint("id", name=op.f("uq_collection_item_id")),
    )
    op.create_index(
        "ux_collection_item_target",
        "collection_item",
        ["collection_pk", "kind", "target"],
        unique=True,
    )
    _indexes("collection_item", ("target", "collection_pk"), ("repo_pk",), ("target_pk",))
