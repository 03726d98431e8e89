"""Tables of the room: repositories, their present and past names, and their tags."""

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, Table, Text

from hubstead.db import Number, metadata, primary_key

repos = Table(
    "repo",
    metadata,
    primary_key(),
    Column("id", Text, nullable=False, unique=True),  # 24 hex, immutable: names its git folder
    Column("kind", Text, nullable=False),
    Column("owner_pk", Number, ForeignKey("account.pk"), nullable=False),
    Column("creator_pk", Number, ForeignKey("account.pk", ondelete="SET NULL")),
    Column("name", Text, nullable=False),  # without the owner's
    Column("private", Integer, nullable=False),
    Column("gated", Text, nullable=False, server_default=""),  # "", auto, manual
    Column("disabled", Integer, nullable=False, server_default="0"),
    Column("default_branch", Text, nullable=False, server_default="main"),
    Column("sdk", Text),  # spaces
    Column("lfs_multipart_threshold", BigInteger),  # bytes; lfsmultipartthresh of old clients
    Column("settings", Text, nullable=False, server_default="{}"),  # JSON: other settings
    Column("created_ms", BigInteger, nullable=False),
    Column("modified_ms", BigInteger, nullable=False),
    Column("packs", Integer, nullable=False, server_default="0"),  # grows by one per new pack
    # Derived from the default branch by the transaction that moves it:
    Column("head", Text),  # its tip
    Column("card", Text),  # JSON of the front matter, null without one
    Column("config", Text),  # JSON: what model info says of config.json
    Column("pipeline_tag", Text),
    Column("library_name", Text),
    Column("tags", Text, nullable=False, server_default="[]"),  # JSON
    # Counted:
    Column("used_bytes", BigInteger, nullable=False, server_default="0"),
    Column("downloads", BigInteger, nullable=False, server_default="0"),  # of the last 30 days
    Column("downloads_all_time", BigInteger, nullable=False, server_default="0"),
    Column("likes", BigInteger, nullable=False, server_default="0"),
    Column("trending", Float, nullable=False, server_default="0"),
    Index(None, "owner_pk", "kind"),
    Index(None, "owner_pk", "used_bytes"),
    Index(None, "kind", "modified_ms", "pk"),
    Index(None, "kind", "created_ms", "pk"),
    Index(None, "kind", "downloads", "pk"),
    Index(None, "kind", "likes", "pk"),
    Index(None, "kind", "trending", "pk"),
    sqlite_autoincrement=True,  # numbers are never reused: a recreated repository inherits nothing
    info={"backup": "copy"},
)

#: Present and past names in one unique table: a name belongs to one repository, and creating a
#: repository at a past name removes the alias.
repo_names = Table(
    "repo_name",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("name_key", Text, primary_key=True),  # owner/name, case folded
    Column("repo_pk", Number, ForeignKey("repo.pk", ondelete="CASCADE"), nullable=False),
    Column("is_alias", Integer, nullable=False, server_default="0"),
    Index(None, "repo_pk"),
    info={"backup": "copy"},
)

repo_tags = Table(
    "repo_tag",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("tag", Text, primary_key=True),
    Column("repo_pk", Number, ForeignKey("repo.pk", ondelete="CASCADE"), primary_key=True),
    Index(None, "repo_pk"),
    info={"backup": "copy"},
)
