"""Tables of the room: what says of the database itself that nobody may use it yet."""

from sqlalchemy import BigInteger, Column, Table, Text

from hubstead.db.schema import metadata

#: One row while a restore into this database is not complete.
restore_marks = Table(
    "restore_mark",
    metadata,
    Column("snapshot", Text, primary_key=True),
    Column("begun_ms", BigInteger, nullable=False),
    Column("loaded_ms", BigInteger),  # null until the rows are there, set in their transaction
)
