"""Objects of a bucket by prefix, page by page; a page costs the same wherever it is.

A prefix is matched as text: ``logs`` also finds ``logs.json``. What is not recursive shows the
folders below the prefix as entries; one step of the walk goes from an entry to the next, so it
reads one row per entry, whatever a folder holds.
"""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from hubstead.buckets.objects import IN_BUCKET, OBJECT_COLUMNS, BucketObject, find_objects
from hubstead.buckets.tables import bucket_objects
from hubstead.db import Reader, Statement, scan
from hubstead.errors import InvalidInput

#: After every name, which has at most 1,024 bytes.
_LAST = "\U0010ffff" * 257
#: The character after the slash, and one before all of those that names hold.
_AFTER_SLASH, _FIRST = "0", "\x01"
_PATH = bucket_objects.c.path


class TreeQuery(NamedTuple):
    """A listing of a bucket."""

    prefix: str = ""
    recursive: bool = False
    by_time: bool = False  # by the time of the upload, else by name; only if recursive
    descending: bool = False
    cursor: str | None = None
    limit: int = 1000


class TreeEntry(NamedTuple):
    """An object, or a folder, which has no object of its own."""

    path: str
    object: BucketObject | None


class TreePage(NamedTuple):
    """A page of a listing."""

    entries: list[TreeEntry]
    cursor: str | None  # of the next page


async def list_objects(db: Reader, bucket_pk: int, query: TreeQuery) -> TreePage:
    """Return a page of the objects whose names begin with a prefix.

    Raises:
        InvalidInput: the cursor is not one of this listing, or folders are sorted by time.
    """
    if query.by_time:
        return await _by_time(db, bucket_pk, query)
    start, end = query.prefix, _after_prefix(query.prefix)
    if query.cursor is not None:
        (bound,) = _decoded(query.cursor, 1)
        start, end = (start, bound) if query.descending else (bound, end)
    bounds: dict[str, Any] = {"bucket_pk": bucket_pk, "start": start, "until": end}
    if not query.recursive:
        return await _folders(db, query, bounds)
    rows = await db.all(_FLAT[query.descending], **bounds, most=query.limit + 1)
    entries = [TreeEntry(row.path, row) for row in rows[: query.limit]]
    if len(rows) <= query.limit:
        return TreePage(entries, None)
    last = entries[-1].path
    return TreePage(entries, _encoded(last if query.descending else last + _FIRST))


def _after_prefix(prefix: str) -> str:
    """Return the first text after all texts that begin with ``prefix``."""
    while prefix:
        last, prefix = ord(prefix[-1]), prefix[:-1]
        if last < 0x10FFFF:
            return prefix + chr(0xE000 if last == 0xD7FF else last + 1)
    return _LAST


def _encoded(*parts: str) -> str:
    return base64.urlsafe_b64encode("\n".join(parts).encode()).decode().rstrip("=")


def _decoded(cursor: str, count: int) -> list[str]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = base64.b64decode(padded, altchars=b"-_", validate=True).decode().split("\n")
    except ValueError:
        parts = []
    if len(parts) != count or "\0" in cursor or any("\0" in part for part in parts):
        raise InvalidInput(reason='"cursor" is not one that this server gave out')
    return parts


# -- all objects below a prefix ----------------------------------------------------------------

_WITHIN = (
    IN_BUCKET,
    bindparam("start", type_=Text) <= _PATH,
    bindparam("until", type_=Text) > _PATH,
)


def _flat(descending: bool) -> Statement[BucketObject]:
    order = _PATH.desc() if descending else _PATH
    query = select(*OBJECT_COLUMNS).where(*_WITHIN).order_by(order).limit(bindparam("most"))
    return scan(query, BucketObject)


_FLAT = {descending: _flat(descending) for descending in (False, True)}


def _timed(descending: bool) -> Statement[BucketObject]:
    at, order = bucket_objects.c.uploaded_ms, (bucket_objects.c.uploaded_ms, _PATH)
    at_ms = bindparam("at_ms", type_=BigInteger)
    last = bindparam("last_path", type_=Text)
    after = (
        or_(at < at_ms, and_(at == at_ms, last > _PATH))
        if descending
        else or_(at > at_ms, and_(at == at_ms, last < _PATH))
    )
    bound = at <= at_ms if descending else at >= at_ms
    query = select(*OBJECT_COLUMNS).where(*_WITHIN, bound, after)
    query = query.order_by(*(column.desc() if descending else column for column in order))
    return scan(query.limit(bindparam("most")), BucketObject)


_TIMED = {descending: _timed(descending) for descending in (False, True)}


async def _by_time(db: Reader, bucket_pk: int, query: TreeQuery) -> TreePage:
    if not query.recursive:
        raise InvalidInput(reason='"sort=uploadedAt" needs "recursive=true"')
    at_ms, last = (2**62, "") if query.descending else (-(2**62), "")
    if query.cursor is not None:
        text, last = _decoded(query.cursor, 2)
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise InvalidInput(reason='"cursor" is not one that this server gave out')
        at_ms = int(text)
    rows = await db.all(
        _TIMED[query.descending],
        bucket_pk=bucket_pk,
        start=query.prefix,
        until=_after_prefix(query.prefix),
        at_ms=at_ms,
        last_path=last,
        most=query.limit + 1,
    )
    entries = [TreeEntry(row.path, row) for row in rows[: query.limit]]
    if len(rows) <= query.limit:
        return TreePage(entries, None)
    end = rows[query.limit - 1]
    return TreePage(entries, _encoded(str(end.uploaded_ms), end.path))


# -- objects and folders -----------------------------------------------------------------------


class _SlashAt(FunctionElement[int]):
    """The place of the first slash in a text, counted from 1, or 0."""

    inherit_cache = True
    type = Integer()


@compiles(_SlashAt)
def _slash_sqlite(element: _SlashAt, compiler: SQLCompiler, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)}, '/')"


@compiles(_SlashAt, "postgresql")
def _slash_postgres(element: _SlashAt, compiler: SQLCompiler, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)}, '/')"


def _steps(descending: bool) -> Statement[str]:
    """Return the walk from entry to entry: the first name of each."""
    order = _PATH.desc() if descending else _PATH
    first = select(_PATH).where(*_WITHIN).order_by(order).limit(1).scalar_subquery()
    one = literal_column("1", Integer)
    walk = select(first.label("path"), one.label("step")).cte("walk", recursive=True)
    beyond = _beyond(walk.c.path, descending)
    bound = beyond > _PATH if descending else beyond <= _PATH
    following = (
        select(_PATH).where(*_WITHIN, bound).order_by(order).limit(1).correlate(walk)
    ).scalar_subquery()
    more = select(following, walk.c.step + one).where(
        walk.c.path.is_not(None), walk.c.step < bindparam("most", type_=Integer)
    )
    walk = walk.union_all(more)
    return scan(select(walk.c.path).where(walk.c.path.is_not(None)).order_by(walk.c.step), str)


def _beyond(path: ColumnElement[str], descending: bool) -> ColumnElement[str]:
    """Return where the names of the next entry begin, or before which they end.

    The character behind the prefix is no end of a folder: ``logs`` lists what is in ``logs/``.
    """
    skipped = bindparam("skipped", type_=Integer)  # characters of the prefix and one more
    slash = _SlashAt(func.substr(path, skipped + literal_column("1", Integer)))
    folder = func.substr(path, literal_column("1", Integer), skipped + slash)
    if descending:
        return case((slash > literal_column("0"), folder), else_=path)
    before_slash = func.substr(
        path, literal_column("1", Integer), skipped + slash - literal_column("1", Integer)
    )
    return case(
        (slash > literal_column("0"), before_slash.op("||")(bindparam("end", type_=Text))),
        else_=path.op("||")(bindparam("first", type_=Text)),
    )


_STEPS = {descending: _steps(descending) for descending in (False, True)}


async def _folders(db: Reader, query: TreeQuery, bounds: dict[str, Any]) -> TreePage:
    skipped = len(query.prefix) + 1
    marks = {} if query.descending else {"end": _AFTER_SLASH, "first": _FIRST}
    names = await db.all(
        _STEPS[query.descending], **bounds, **marks, skipped=skipped, most=query.limit + 1
    )
    shown = [_entry(name, skipped) for name in names[: query.limit]]
    files = [path for path, is_folder in shown if not is_folder]
    objects = await find_objects(db, bounds["bucket_pk"], files)
    entries = [
        TreeEntry(path, None if is_folder else objects[path])
        for path, is_folder in shown
        if is_folder or path in objects
    ]
    if len(names) <= query.limit:
        return TreePage(entries, None)
    path, is_folder = shown[-1]
    if query.descending:
        return TreePage(entries, _encoded(path + "/" * is_folder))
    return TreePage(entries, _encoded(path + (_AFTER_SLASH if is_folder else _FIRST)))


def _entry(name: str, skipped: int) -> tuple[str, bool]:
    slash = name.find("/", skipped)
    return (name, False) if slash < 0 else (name[:slash], True)
