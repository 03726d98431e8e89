"""Tables of the room: the mark of an incomplete restore."""

from sqlalchemy import BigInteger, Column, Table, Text

from hubstead.db.schema import metadata

#: One row while a restore into this database is incomplete.
restore_marks = Table(
    "restore_mark",
    metadata,
    Column("snapshot", Text, primary_key=True),
    Column("begun_ms", BigInteger, nullable=False),
    Column("loaded_ms", BigInteger),  # null until its rows are loaded; set in their transaction
    info={"backup": "copy"},
)
