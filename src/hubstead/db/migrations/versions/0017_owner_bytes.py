"""An index that sums the bytes of an owner's repositories without reading their rows."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the index."""
    op.create_index(op.f("ix_repo_owner_pk_used_bytes"), "repo", ["owner_pk", "used_bytes"])
