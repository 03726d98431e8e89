"""Discussions and pull requests: their events, past versions of comments, and counts."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables; the previous release, which writes on beside, does not know them."""
    _add_discussions()
    _add_events()
    op.create_table(
        "discussion_count",
        sa.Column("repo_pk", _NUMBER, nullable=False),
        sa.Column("is_pull", sa.Integer(), nullable=False),
        sa.Column("is_open", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        _reference("discussion_count", "repo_pk", "repo"),
        sa.PrimaryKeyConstraint("repo_pk", "is_pull", "is_open", name=op.f("pk_discussion_count")),
    )


def _reference(
    table: str, column: str, target: str, ondelete: str = "CASCADE"
) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{target}")
    return sa.ForeignKeyConstraint([column], [f"{target}.pk"], name=name, ondelete=ondelete)


def _indexes(table: str, *columns: tuple[str, ...]) -> None:
    for names in columns:
        op.create_index(op.f(f"ix_{table}_{'_'.join(names)}"), table, list(names))


def _add_discussions() -> None:
    op.create_table(
        "discussion",
        sa.Column("pk", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("repo_pk", _NUMBER, nullable=False),
        sa.Column("num", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("is_open", sa.Integer(), nullable=False),
        sa.Column("is_pull", sa.Integer(), nullable=False),
        sa.Column("author_pk", _NUMBER),
        sa.Column("pinned", sa.Integer(), server_default="0", nullable=False),
        sa.Column("locked", sa.Integer(), server_default="0", nullable=False),
        sa.Column("comments", sa.Integer(), server_default="0", nullable=False),
        sa.Column("base", sa.Text()),
        sa.Column("merge_commit", sa.Text()),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("active_ms", sa.BigInteger(), nullable=False),
        _reference("discussion", "repo_pk", "repo"),
        _reference("discussion", "author_pk", "account", "SET NULL"),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_discussion")),
        sa.UniqueConstraint("id", name=op.f("uq_discussion_id")),
    )
    op.create_index("ux_discussion_repo_num", "discussion", ["repo_pk", "num"], unique=True)
    _indexes(
        "discussion",
        ("repo_pk", "is_open", "num"),
        ("repo_pk", "is_pull", "is_open", "num"),
        ("repo_pk", "author_pk", "num"),
        ("repo_pk", "active_ms", "num"),
        ("author_pk",),
    )


def _add_events() -> None:
    op.create_table(
        "discussion_event",
        sa.Column("pk", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("discussion_pk", _NUMBER, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("author_pk", _NUMBER),
        sa.Column("data", sa.Text(), server_default="{}", nullable=False),
        sa.Column("body", sa.Text()),
        sa.Column("edits", sa.Integer(), server_default="0", nullable=False),
        sa.Column("edited_ms", sa.BigInteger()),
        sa.Column("editor_pk", _NUMBER),
        sa.Column("hidden", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        _reference("discussion_event", "discussion_pk", "discussion"),
        _reference("discussion_event", "author_pk", "account", "SET NULL"),
        _reference("discussion_event", "editor_pk", "account", "SET NULL"),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_discussion_event")),
        sa.UniqueConstraint("id", name=op.f("uq_discussion_event_id")),
        sqlite_autoincrement=True,
    )
    _indexes("discussion_event", ("discussion_pk", "pk"), ("author_pk",), ("editor_pk",))
    op.create_table(
        "comment_version",
        sa.Column("event_pk", _NUMBER, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("author_pk", _NUMBER),
        sa.Column("written_ms", sa.BigInteger(), nullable=False),
        _reference("comment_version", "event_pk", "discussion_event"),
        _reference("comment_version", "author_pk", "account", "SET NULL"),
        sa.PrimaryKeyConstraint("event_pk", "seq", name=op.f("pk_comment_version")),
    )
    _indexes("comment_version", ("author_pk",))
