"""Tables of the room: webhooks and their deliveries."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from hubstead.db import Number, metadata, primary_key

webhooks = Table(
    "webhook",
    metadata,
    primary_key(),
    Column("id", Text, nullable=False, unique=True),
    Column("url", Text, nullable=False),
    Column("secret", Text),  # sent as X-Webhook-Secret, so it is stored in plain text
    Column("private", Integer, nullable=False, server_default="0"),  # also private repositories
    Column("kinds", Text, nullable=False),  # JSON list of repository kinds
    Column("disabled", Integer, nullable=False, server_default="0"),
    Column("created_ms", BigInteger, nullable=False),
    info={"backup": "copy"},
)

#: One row per webhook and payload: the queues of deliveries, and the delivery log. A queue has the
#: deliveries of one webhook for one repository, in the order of ``pk``.
deliveries = Table(
    "delivery",
    metadata,
    primary_key(),
    Column("webhook_pk", Number, ForeignKey("webhook.pk", ondelete="CASCADE"), nullable=False),
    Column("event_pk", Number, nullable=False),
    Column("seq", Integer, nullable=False),  # an event may have several payloads (a rename: two)
    Column("repo_pk", Number, nullable=False),  # its queue
    Column("name_key", Text, nullable=False),  # kind and name in the body, case folded
    Column("body", Text, nullable=False),  # JSON as sent
    Column("state", Text, nullable=False),  # waiting, delivered, given_up
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("due_ms", BigInteger, nullable=False),
    Column("tried_ms", BigInteger),  # first attempt
    Column("status", Integer),  # HTTP status of the last response
    Column("error", Text),
    Column("created_ms", BigInteger, nullable=False),
    Column("done_ms", BigInteger),
    Index("ux_delivery_webhook_event_seq", "webhook_pk", "event_pk", "seq", unique=True),
    Index(None, "webhook_pk", "state", "repo_pk", "pk"),
    Index(None, "webhook_pk", "state", "name_key", "pk"),
    Index(None, "done_ms"),
    sqlite_autoincrement=True,  # the order of queues, so a number is never reused
    info={"backup": "copy"},
)
