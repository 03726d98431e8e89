"""What comes after a chunk in a file: clients that have the one mostly have the other."""

from __future__ import annotations

from itertools import islice

from sqlalchemy import bindparam, select

from hubstead.db import Reader, indexed
from hubstead.xet.hashes import to_raw, to_text
from hubstead.xet.index import KnownXorb, find_xorbs
from hubstead.xet.tables import xet_file_xorbs, xet_files
from hubstead.xet.terms import Terms

#: Some 4 GiB. Clients ask again about one chunk in a thousand, so half of a xorb is sent anew
#: after as many.
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
    """Return the xorbs that follow on a chunk of ``xorb`` in a file, the largest that has it.

    In order, without ``xorb`` itself, at most ``MOST``. Whoever is told of them must be asked
    for, xorb by xorb.
    """
    for packed in await db.all(_USING, which_xorb=xorb.pk):
        texts = _after(Terms.unpack(packed), to_raw(xorb.name), chunk)
        if texts is not None:
            found = await find_xorbs(db, texts)
            return [found[text] for text in texts if text in found]
    return []


def _after(terms: Terms, raw: bytes, chunk: int) -> list[str] | None:
    """Return the names of what follows; None if the file does not have the chunk."""
    for at, term in enumerate(terms):
        if term.xorb == raw and term.start <= chunk < term.end:
            after = terms.xorbs(range(at + 1, len(terms)))
            return [to_text(each) for each in islice((x for x in after if x != raw), MOST)]
    return None
