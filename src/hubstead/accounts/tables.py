"""Tables of the room: accounts, memberships, access tokens, sessions, signing keys."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from hubstead.db import Number, metadata, primary_key

#: Users and organizations: one table, because they share one namespace.
accounts = Table(
    "account",
    metadata,
    primary_key(),
    Column("id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),  # user, org
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),  # case folded
    Column("fullname", Text, nullable=False, server_default=""),
    Column("email", Text),
    Column("password_hash", Text),  # argon2, or null: no sign-in by password
    Column("is_admin", Integer, nullable=False, server_default="0"),
    Column("disabled", Integer, nullable=False, server_default="0"),
    Column("created_ms", BigInteger, nullable=False),
    Column("profile", Text, nullable=False, server_default="{}"),  # JSON: ``Profile``
    sqlite_autoincrement=True,
    info={"backup": "copy"},
)

#: Past names of accounts, which redirect until another account takes them.
account_aliases = Table(
    "account_alias",
    metadata,
    Column("name_key", Text, primary_key=True),  # case folded
    Column("account_pk", Number, ForeignKey("account.pk", ondelete="CASCADE"), nullable=False),
    Index(None, "account_pk"),
    info={"backup": "copy"},
)

members = Table(
    "member",
    metadata,
    Column("org_pk", Number, ForeignKey("account.pk", ondelete="CASCADE"), primary_key=True),
    Column("user_pk", Number, ForeignKey("account.pk", ondelete="CASCADE"), primary_key=True),
    Column("role", Text, nullable=False),  # read, contributor, write, admin
    Column("created_ms", BigInteger, nullable=False),
    Index(None, "user_pk"),
    info={"backup": "copy"},
)

#: Which user follows which user or organization.
followers = Table(
    "follower",
    metadata,
    Column("followed_pk", Number, ForeignKey("account.pk", ondelete="CASCADE"), primary_key=True),
    Column("user_pk", Number, ForeignKey("account.pk", ondelete="CASCADE"), primary_key=True),
    Column("created_ms", BigInteger, nullable=False),
    Index(None, "followed_pk", "created_ms", "user_pk"),
    Index(None, "user_pk", "created_ms", "followed_pk"),
    info={"backup": "copy"},
)

access_tokens = Table(
    "access_token",
    metadata,
    primary_key(),
    Column("id", Text, nullable=False, unique=True),
    Column("user_pk", Number, ForeignKey("account.pk", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),  # sha256 of the secret, in hex
    Column("hint", Text, nullable=False),  # its last four characters, for lists
    Column("kind", Text, nullable=False),  # access, session (of /api/login)
    Column("role", Text, nullable=False),  # read, write
    Column("created_ms", BigInteger, nullable=False),
    Column("last_used_ms", BigInteger),
    Column("expires_ms", BigInteger),
    Index(None, "user_pk"),
    info={"backup": "copy"},
)

#: Sign-ins of browsers. A backup leaves them out: a restore must not bring back ended ones.
browser_sessions = Table(
    "browser_session",
    metadata,
    primary_key(),
    Column("id", Text, nullable=False, unique=True),
    Column("user_pk", Number, ForeignKey("account.pk", ondelete="CASCADE"), nullable=False),
    Column("hash", Text, nullable=False, unique=True),  # sha256 of the cookie's value, in hex
    Column("created_ms", BigInteger, nullable=False),
    Column("last_used_ms", BigInteger, nullable=False),
    Column("address", Text, nullable=False),  # of the sign-in
    Column("agent", Text, nullable=False),  # what the browser said of itself
    Index(None, "user_pk"),
    info={"backup": "skip"},
)

#: Keys of the hub's signatures (signed URLs), as secret as the database itself. A newer key
#: replaces an older one, which stays until the URLs that it signed expire.
signing_keys = Table(
    "signing_key",
    metadata,
    primary_key(),
    Column("id", Text, nullable=False, unique=True),
    Column("secret", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    info={"backup": "copy"},
)

#: Attempts to sign in, by the digest of name and address or of an address, within one window.
sign_in_attempts = Table(
    "sign_in_attempt",
    metadata,
    Column("bucket", Text, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("until_ms", BigInteger, nullable=False),  # the end of the window
    Index(None, "until_ms"),
    info={"backup": "skip"},
)
