"""Tables of the room: discussions, their events, past versions of comments, and counts."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from hubstead.db import Number, metadata, primary_key

#: Discussions and pull requests share one series of numbers per repository. A deleted one stays as
#: a row without text, so that its number names nothing else.
discussions = Table(
    "discussion",
    metadata,
    primary_key(),
    Column("id", Text, nullable=False, unique=True),  # 24 hex
    Column("repo_pk", Number, ForeignKey("repo.pk", ondelete="CASCADE"), nullable=False),
    Column("num", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("status", Text, nullable=False),  # draft, open, closed, merged, deleted
    Column("is_open", Integer, nullable=False),  # of draft and open
    Column("is_pull", Integer, nullable=False),
    Column("author_pk", Number, ForeignKey("account.pk", ondelete="SET NULL")),
    Column("pinned", Integer, nullable=False, server_default="0"),
    Column("locked", Integer, nullable=False, server_default="0"),
    Column("comments", Integer, nullable=False, server_default="0"),
    Column("base", Text),  # refs/heads/main, of a pull request
    Column("merge_commit", Text),  # the tip of the base that the merge made
    Column("created_ms", BigInteger, nullable=False),
    Column("active_ms", BigInteger, nullable=False),  # of the last event
    Index("ux_discussion_repo_num", "repo_pk", "num", unique=True),
    Index(None, "repo_pk", "is_open", "num"),
    Index(None, "repo_pk", "is_pull", "is_open", "num"),
    Index(None, "repo_pk", "author_pk", "num"),
    Index(None, "repo_pk", "active_ms", "num"),
    Index(None, "author_pk"),
    info={"backup": "copy"},
)

#: What happened in a discussion, in the order of ``pk``.
discussion_events = Table(
    "discussion_event",
    metadata,
    primary_key(),
    Column("id", Text, nullable=False, unique=True),  # 24 hex
    Column(
        "discussion_pk", Number, ForeignKey("discussion.pk", ondelete="CASCADE"), nullable=False
    ),
    Column("type", Text, nullable=False),  # comment, status-change, title-change, commit, …
    Column("author_pk", Number, ForeignKey("account.pk", ondelete="SET NULL")),
    Column("data", Text, nullable=False, server_default="{}"),  # JSON; of a comment: empty
    Column("body", Text),  # the text of a comment
    Column("edits", Integer, nullable=False, server_default="0"),
    Column("edited_ms", BigInteger),
    Column("editor_pk", Number, ForeignKey("account.pk", ondelete="SET NULL")),
    Column("hidden", Integer, nullable=False, server_default="0"),
    Column("created_ms", BigInteger, nullable=False),
    Index(None, "discussion_pk", "pk"),
    Index(None, "author_pk"),
    Index(None, "editor_pk"),
    sqlite_autoincrement=True,
    info={"backup": "copy"},
)

#: What a comment said before each of its edits.
comment_versions = Table(
    "comment_version",
    metadata,
    Column(
        "event_pk", Number, ForeignKey("discussion_event.pk", ondelete="CASCADE"), primary_key=True
    ),
    Column("seq", Integer, primary_key=True),
    Column("body", Text, nullable=False),
    Column("author_pk", Number, ForeignKey("account.pk", ondelete="SET NULL")),
    Column("written_ms", BigInteger, nullable=False),
    Index(None, "author_pk"),
    info={"backup": "copy"},
)

#: How many discussions of each sort a repository has, so that no list counts them.
discussion_counts = Table(
    "discussion_count",
    metadata,
    Column("repo_pk", Number, ForeignKey("repo.pk", ondelete="CASCADE"), primary_key=True),
    Column("is_pull", Integer, primary_key=True),
    Column("is_open", Integer, primary_key=True),
    Column("number", Integer, nullable=False),
    info={"backup": "copy"},
)
