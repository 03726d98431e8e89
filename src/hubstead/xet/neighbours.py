"""Finds the xorbs that follow a chunk in a file: clients with the chunk mostly have them too."""

from __future__ import annotations

from itertools import islice

from sqlalchemy import bindparam, select

from hubstead.db import Reader, indexed
from hubstead.xet.hashes import to_raw, to_text
from hubstead.xet.index import KnownXorb, find_xorbs
from hubstead.xet.tables import xet_file_xorbs, xet_files
from hubstead.xet.terms import Terms

#: Xorbs to return at most, some 4 GiB. Clients query one chunk in a thousand, so they send about
#: half a xorb again after this many.
MOST = 64
_FILES = 8

_USING = indexed(
    select(xet_files.c.terms)
    .join_from(xet_file_xorbs, xet_files, xet_files.c.pk == xet_file_xorbs.c.file_pk)
    .where(xet_file_xorbs.c.xorb_pk == bindparam("which_xorb"))
    .order_by(xet_files.c.bytes.desc(), xet_files.c.pk)
    .limit(_FILES),
    bytes,
)


async def following_xorbs(db: Reader, xorb: KnownXorb, chunk: int) -> list[KnownXorb]:
    """Return the xorbs that follow a chunk of ``xorb`` in the largest file that contains it.

    They are in order, without ``xorb`` itself, at most ``MOST``. The caller checks their visibility
    xorb by xorb.
    """
    for packed in await db.all(_USING, which_xorb=xorb.pk):
        names = _after(Terms.unpack(packed), to_raw(xorb.name), chunk)
        if names is not None:
            known = await find_xorbs(db, names)
            return [known[name] for name in names if name in known]
    return []


def _after(terms: Terms, raw: bytes, chunk: int) -> list[str] | None:
    """Return the names of the xorbs that follow; None if the file lacks the chunk."""
    for at, term in enumerate(terms):
        if term.xorb == raw and term.start <= chunk < term.end:
            after = terms.xorbs(range(at + 1, len(terms)))
            return [to_text(other) for other in islice((x for x in after if x != raw), MOST)]
    return None
