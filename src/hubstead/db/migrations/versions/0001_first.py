"""The first schema: accounts, repositories, refs and packs, blobs, events, jobs, webhooks."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "account",
        sa.Column("pk", NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("fullname", sa.Text(), server_default="", nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("is_admin", sa.Integer(), server_default="0", nullable=False),
        sa.Column("disabled", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_account")),
        sa.UniqueConstraint("id", name=op.f("uq_account_id")),
        sa.UniqueConstraint("name_key", name=op.f("uq_account_name_key")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "blob",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("doomed_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("kind", "name", name=op.f("pk_blob")),
    )
    op.create_index(op.f("ix_blob_doomed_ms"), "blob", ["doomed_ms"], unique=False)
    op.create_table(
        "dead_folder",
        sa.Column("repo_id", sa.Text(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("repo_id", name=op.f("pk_dead_folder")),
    )
    op.create_index(op.f("ix_dead_folder_since_ms"), "dead_folder", ["since_ms"], unique=False)
    op.create_table(
        "event",
        sa.Column("pk", NUMBER, autoincrement=True, nullable=False),
        sa.Column("repo_pk", NUMBER, nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("told_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_event")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_event_told_ms_pk"), "event", ["told_ms", "pk"], unique=False)
    op.create_table(
        "job",
        sa.Column("pk", NUMBER, autoincrement=True, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), server_default="{}", nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("asked", sa.Integer(), server_default="1", nullable=False),
        sa.Column("lease_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_job")),
    )
    op.create_index(op.f("ix_job_due_ms"), "job", ["due_ms"], unique=False)
    op.create_index("ux_job_type_subject", "job", ["type", "subject"], unique=True)
    op.create_table(
        "signing_key",
        sa.Column("pk", NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_signing_key")),
        sa.UniqueConstraint("id", name=op.f("uq_signing_key_id")),
    )
    op.create_table(
        "webhook",
        sa.Column("pk", NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("private", sa.Integer(), server_default="0", nullable=False),
        sa.Column("kinds", sa.Text(), nullable=False),
        sa.Column("disabled", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_webhook")),
        sa.UniqueConstraint("id", name=op.f("uq_webhook_id")),
    )
    op.create_table(
        "access_token",
        sa.Column("pk", NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_pk", NUMBER, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_used_ms", sa.BigInteger(), nullable=True),
        sa.Column("expires_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_pk"],
            ["account.pk"],
            name=op.f("fk_access_token_user_pk_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_access_token")),
        sa.UniqueConstraint("hash", name=op.f("uq_access_token_hash")),
        sa.UniqueConstraint("id", name=op.f("uq_access_token_id")),
    )
    op.create_index(op.f("ix_access_token_user_pk"), "access_token", ["user_pk"], unique=False)
    op.create_table(
        "delivery",
        sa.Column("pk", NUMBER, autoincrement=True, nullable=False),
        sa.Column("webhook_pk", NUMBER, nullable=False),
        sa.Column("event_pk", NUMBER, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("repo_pk", NUMBER, nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("tried_ms", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("done_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["webhook_pk"],
            ["webhook.pk"],
            name=op.f("fk_delivery_webhook_pk_webhook"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_delivery")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_delivery_done_ms"), "delivery", ["done_ms"], unique=False)
    op.create_index(
        op.f("ix_delivery_webhook_pk_state_name_key_pk"),
        "delivery",
        ["webhook_pk", "state", "name_key", "pk"],
        unique=False,
    )
    op.create_index(
        op.f("ix_delivery_webhook_pk_state_repo_pk_pk"),
        "delivery",
        ["webhook_pk", "state", "repo_pk", "pk"],
        unique=False,
    )
    op.create_index(
        "ux_delivery_webhook_event_seq", "delivery", ["webhook_pk", "event_pk", "seq"], unique=True
    )
    op.create_table(
        "member",
        sa.Column("org_pk", NUMBER, nullable=False),
        sa.Column("user_pk", NUMBER, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_pk"], ["account.pk"], name=op.f("fk_member_org_pk_account"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_pk"], ["account.pk"], name=op.f("fk_member_user_pk_account"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("org_pk", "user_pk", name=op.f("pk_member")),
    )
    op.create_index(op.f("ix_member_user_pk"), "member", ["user_pk"], unique=False)
    op.create_table(
        "repo",
        sa.Column("pk", NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("owner_pk", NUMBER, nullable=False),
        sa.Column("creator_pk", NUMBER, nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("private", sa.Integer(), nullable=False),
        sa.Column("gated", sa.Text(), server_default="", nullable=False),
        sa.Column("disabled", sa.Integer(), server_default="0", nullable=False),
        sa.Column("default_branch", sa.Text(), server_default="main", nullable=False),
        sa.Column("sdk", sa.Text(), nullable=True),
        sa.Column("lfs_multipart_threshold", sa.BigInteger(), nullable=True),
        sa.Column("settings", sa.Text(), server_default="{}", nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("modified_ms", sa.BigInteger(), nullable=False),
        sa.Column("packs", sa.Integer(), server_default="0", nullable=False),
        sa.Column("head", sa.Text(), nullable=True),
        sa.Column("card", sa.Text(), nullable=True),
        sa.Column("config", sa.Text(), nullable=True),
        sa.Column("pipeline_tag", sa.Text(), nullable=True),
        sa.Column("library_name", sa.Text(), nullable=True),
        sa.Column("tags", sa.Text(), server_default="[]", nullable=False),
        sa.Column("used_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("downloads", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("downloads_all_time", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("likes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("trending", sa.Float(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["creator_pk"],
            ["account.pk"],
            name=op.f("fk_repo_creator_pk_account"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["owner_pk"], ["account.pk"], name=op.f("fk_repo_owner_pk_account")
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_repo")),
        sa.UniqueConstraint("id", name=op.f("uq_repo_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_repo_kind_created_ms_pk"), "repo", ["kind", "created_ms", "pk"], unique=False
    )
    op.create_index(
        op.f("ix_repo_kind_downloads_pk"), "repo", ["kind", "downloads", "pk"], unique=False
    )
    op.create_index(op.f("ix_repo_kind_likes_pk"), "repo", ["kind", "likes", "pk"], unique=False)
    op.create_index(
        op.f("ix_repo_kind_modified_ms_pk"), "repo", ["kind", "modified_ms", "pk"], unique=False
    )
    op.create_index(
        op.f("ix_repo_kind_trending_pk"), "repo", ["kind", "trending", "pk"], unique=False
    )
    op.create_index(op.f("ix_repo_owner_pk_kind"), "repo", ["owner_pk", "kind"], unique=False)
    op.create_table(
        "hold",
        sa.Column("repo_pk", NUMBER, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repo_pk"], ["repo.pk"], name=op.f("fk_hold_repo_pk_repo"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repo_pk", "kind", "name", name=op.f("pk_hold")),
    )
    op.create_index(op.f("ix_hold_kind_name"), "hold", ["kind", "name"], unique=False)
    op.create_index(op.f("ix_hold_until_ms"), "hold", ["until_ms"], unique=False)
    op.create_table(
        "pack",
        sa.Column("repo_pk", NUMBER, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repo_pk"], ["repo.pk"], name=op.f("fk_pack_repo_pk_repo"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repo_pk", "name", name=op.f("pk_pack")),
    )
    op.create_table(
        "ref",
        sa.Column("repo_pk", NUMBER, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("oid", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("moved_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repo_pk"], ["repo.pk"], name=op.f("fk_ref_repo_pk_repo"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repo_pk", "name", name=op.f("pk_ref")),
    )
    op.create_table(
        "repo_blob",
        sa.Column("repo_pk", NUMBER, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("ref", sa.Text(), nullable=True),
        sa.Column("pusher_pk", NUMBER, nullable=True),
        sa.Column("committed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["pusher_pk"],
            ["account.pk"],
            name=op.f("fk_repo_blob_pusher_pk_account"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["repo_pk"], ["repo.pk"], name=op.f("fk_repo_blob_repo_pk_repo"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repo_pk", "kind", "name", name=op.f("pk_repo_blob")),
    )
    op.create_index(op.f("ix_repo_blob_kind_name"), "repo_blob", ["kind", "name"], unique=False)
    op.create_table(
        "repo_name",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("repo_pk", NUMBER, nullable=False),
        sa.Column("is_alias", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["repo_pk"], ["repo.pk"], name=op.f("fk_repo_name_repo_pk_repo"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("kind", "name_key", name=op.f("pk_repo_name")),
    )
    op.create_index(op.f("ix_repo_name_repo_pk"), "repo_name", ["repo_pk"], unique=False)
    op.create_table(
        "repo_tag",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("repo_pk", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(
            ["repo_pk"], ["repo.pk"], name=op.f("fk_repo_tag_repo_pk_repo"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("kind", "tag", "repo_pk", name=op.f("pk_repo_tag")),
    )
    op.create_index(op.f("ix_repo_tag_repo_pk"), "repo_tag", ["repo_pk"], unique=False)
    op.create_table(
        "upload",
        sa.Column("pk", NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("repo_pk", NUMBER, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("part_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repo_pk"], ["repo.pk"], name=op.f("fk_upload_repo_pk_repo"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_upload")),
        sa.UniqueConstraint("id", name=op.f("uq_upload_id")),
    )
    op.create_index(op.f("ix_upload_expires_ms"), "upload", ["expires_ms"], unique=False)
    op.create_index(op.f("ix_upload_repo_pk_name"), "upload", ["repo_pk", "name"], unique=False)
