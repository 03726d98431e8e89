"""Tables of the room: who wants to hear, and what was told."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from hubstead.db import Number, metadata, primary_key

webhooks = Table(
    "webhook",
    metadata,
    primary_key(),
    Column("id", Text, nullable=False, unique=True),
    Column("url", Text, nullable=False),
    Column("secret", Text),  # sent along as X-Webhook-Secret, so it is kept readable
    Column("private", Integer, nullable=False, server_default="0"),  # also private repositories
    Column("kinds", Text, nullable=False),  # JSON list of repository kinds
    Column("disabled", Integer, nullable=False, server_default="0"),
    Column("created_ms", BigInteger, nullable=False),
    info={"backup": "copy"},
)

#: One row per webhook and thing to tell: the lines to deliver, and the log of what was delivered.
#: A line is what one webhook is to hear of one repository, in the order of ``pk``.
deliveries = Table(
    "delivery",
    metadata,
    primary_key(),
    Column("webhook_pk", Number, ForeignKey("webhook.pk", ondelete="CASCADE"), nullable=False),
    Column("event_pk", Number, nullable=False),
    Column("seq", Integer, nullable=False),  # an event may tell several things (a rename: two)
    Column("repo_pk", Number, nullable=False),  # its line
    Column("name_key", Text, nullable=False),  # kind and name told of, case folded
    Column("body", Text, nullable=False),  # JSON as sent
    Column("state", Text, nullable=False),  # waiting, delivered, given_up
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("due_ms", BigInteger, nullable=False),
    Column("tried_ms", BigInteger),  # first attempt
    Column("status", Integer),  # HTTP status of the last answer
    Column("error", Text),
    Column("created_ms", BigInteger, nullable=False),
    Column("done_ms", BigInteger),
    Index("ux_delivery_webhook_event_seq", "webhook_pk", "event_pk", "seq", unique=True),
    Index(None, "webhook_pk", "state", "repo_pk", "pk"),
    Index(None, "webhook_pk", "state", "name_key", "pk"),
    Index(None, "done_ms"),
    sqlite_autoincrement=True,  # the order of lines, so a number must never come again
    info={"backup": "copy"},
)
