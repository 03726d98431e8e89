"""The table of facts about files."""

from sqlalchemy import Column, Integer, Table, Text

from hubstead.db import metadata

#: Facts read from the header of an LFS object. They depend on its bytes alone, so a row is never
#: wrong, whichever repositories have the object. Any row can be computed again.
file_facts = Table(
    "file_fact",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("format", Text, primary_key=True),  # gguf, safetensors
    Column("reader", Integer, nullable=False),  # the version of the reader
    Column("facts", Text),  # JSON; null: the header cannot be read
    Column("fault", Text),  # why not
    info={"backup": "skip"},
)
