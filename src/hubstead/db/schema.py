"""Shared by all tables: the metadata, and column types that both engines store unchanged.

Times are milliseconds since the epoch, flags are 0 or 1, structures are JSON text: nothing is
converted on the way in or out.

Every table declares how a backup treats its rows: ``info={"backup": "copy"}``; ``"skip"`` where a
restored hub starts without any, such as uploads under way or files that wait for deletion; or
``"own"`` where it starts without any and gets its own, such as nodes and pauses.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, MetaData

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: 64 bits on both engines; SQLite autoincrements only a column of exactly this type.
Number = BigInteger().with_variant(Integer, "sqlite")


def primary_key() -> Column[int]:
    """Return the usual first column: a number that the database assigns."""
    return Column("pk", Number, primary_key=True, autoincrement=True)
