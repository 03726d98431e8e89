"""Reconstruction plans: the ranges of xorbs that make up a file, or a part of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp

from hubstead.admission import Lane, run_in_lane
from hubstead.errors import InvalidInput, NotFound, RangeNotSatisfiable
from hubstead.http import Response, get_header, json_response, parse_range
from hubstead.repos import Right, XetToken
from hubstead.wire import Request
from hubstead.wire.xet.authorization import NOTHING_HERE, authorize
from hubstead.wire.xet.ranges import RangeUrls
from hubstead.wire.xet.shapes import (
    BatchPlan,
    ChunkRange,
    FetchInfo,
    FetchRange,
    PlannedTerm,
    PlanV1,
    PlanV2,
    SizeResponse,
    XorbFetch,
)
from hubstead.wire.xet.visibility import may_write
from hubstead.xet import (
    NO_HASH,
    ReconstructionPlan,
    XetFile,
    XorbRange,
    find_file,
    find_lfs_object,
    to_raw,
    to_text,
)

MOST_FILES = 100
MOST_TERMS = 200_000
#: A thread encodes responses with more terms.
_MANY_TERMS = 1000
#: Addresses to sign before other requests get a turn.
_SIGNED_IN_A_ROW = 200
_OLD_RANGE = re.compile(r"\s*\d+-\d*\s*")  # what hf_xet 1.0.0 may write

#: Ranges and their addresses, by xorb hash string.
Fetches = dict[str, list[tuple[XorbRange, str]]]


async def plan_v1(request: Request) -> ASGIApp:
    """Return the plan of a file, or of the part in ``Range``."""
    plan, fetches = await _planned(request)

    def respond() -> Response:
        return json_response(PlanV1(plan.offset, _terms(plan), _infos(fetches)))

    return await _encode(respond, len(plan.terms))


async def plan_v2(request: Request) -> ASGIApp:
    """Return the plan of a file, or of the part in ``Range``, in the newer form."""
    plan, fetches = await _planned(request)

    def respond() -> Response:
        xorbs = {
            xorb: [
                XorbFetch(url, [FetchRange(_chunks(span), _bytes(span))]) for span, url in signed
            ]
            for xorb, signed in fetches.items()
        }
        return json_response(PlanV2(plan.offset, _terms(plan), xorbs))

    return await _encode(respond, len(plan.terms))


async def plan_several(request: Request) -> ASGIApp:
    """Return the plans of several files; unknown files are left out."""
    token = await authorize(request, Right.READ)
    xet = request.hub.stores.xet
    files = await _requested_files(request, token)
    plans = [(file.name, await xet.plan(file, 0, file.bytes)) for file in files]
    ranges: dict[bytes, list[XorbRange]] = {}
    blobs: dict[bytes, str] = {}
    for _, planned in plans:
        blobs |= planned.blobs
        for xorb, needed in planned.plan.ranges.items():
            ranges.setdefault(xorb, []).extend(needed)
    joined = {xorb: _joined(needed) for xorb, needed in ranges.items()}
    fetches = await _fetches(request, joined, blobs)

    def respond() -> Response:
        terms = {name: _terms(planned.plan) for name, planned in plans}
        return json_response(BatchPlan(terms, _infos(fetches)))

    return await _encode(respond, sum(len(planned.plan.terms) for _, planned in plans))


async def _requested_files(request: Request, token: XetToken) -> list[XetFile]:
    names = list(dict.fromkeys(request.query.all("file_id")))
    if len(names) > MOST_FILES:
        raise InvalidInput(reason=f"Ask for at most {MOST_FILES} files at once")
    files = []
    left = MOST_TERMS
    for name in names:
        file = await _file(request, token, name)
        if file is not None:
            files.append(file)
            left -= len(file.terms)
        if left < 0:
            raise InvalidInput(reason=f"These files have more than {MOST_TERMS} terms: ask apart")
    return files


async def _encode(respond: Callable[[], Response], terms: int) -> Response:
    return await run_in_lane(Lane.DIGESTS, respond) if terms > _MANY_TERMS else respond()


async def file_size(request: Request) -> ASGIApp:
    """Return the size of a file."""
    token = await authorize(request, Right.READ)
    return SizeResponse((await _known_file(request, token)).bytes)


async def no_chunk_hashes(request: Request) -> ASGIApp:
    """Respond 404: the hub discloses no chunk hashes, and no client's upload needs them."""
    await authorize(request, Right.READ)
    raise NotFound(reason=NOTHING_HERE)


async def _planned(request: Request) -> tuple[ReconstructionPlan, Fetches]:
    """Return the plan of the requested part of a file, and the addresses of its ranges."""
    token = await authorize(request, Right.READ)
    file = await _known_file(request, token)
    start, end = _requested_range(request, file.bytes)
    planned = await request.hub.stores.xet.plan(file, start, end)
    return planned.plan, await _fetches(request, planned.plan.ranges, planned.blobs)


async def _known_file(request: Request, token: XetToken) -> XetFile:
    file = await _file(request, token, request.text("file"))
    if file is None:
        raise NotFound(reason=NOTHING_HERE)
    return file


async def _file(request: Request, token: XetToken, name: str) -> XetFile | None:
    """Return a file if it is in the token's repository.

    Uncommitted files are visible only to users who may write there.
    """
    if to_raw(name) == NO_HASH:
        return XetFile.empty()
    file = await find_file(request.hub.db, name)
    lfs_object = file and await find_lfs_object(request.hub.db, request.repo.pk, file.sha256)
    return file if lfs_object and (lfs_object.committed or may_write(token)) else None


def _requested_range(request: Request, size: int) -> tuple[int, int]:
    """Return the requested part of the file as (first byte, byte after the last)."""
    header = get_header(request.scope, "range")
    if header is not None and _OLD_RANGE.fullmatch(header):
        header = f"bytes={header.strip()}"
    try:
        span = parse_range(header, max(size, 1))
    except RangeNotSatisfiable:
        raise RangeNotSatisfiable(size=size) from None
    return (0, size) if span is None else (span.start, min(size, span.start + span.count))


async def _fetches(
    request: Request, ranges: Mapping[bytes, list[XorbRange]], blobs: Mapping[bytes, str]
) -> Fetches:
    urls = RangeUrls(request)
    fetches: Fetches = {}
    signed = 0
    for xorb, needed in ranges.items():
        blob, signed_ranges = blobs[xorb], fetches.setdefault(to_text(xorb), [])
        for span in needed:
            signed_ranges.append((span, await urls.sign(blob, span.first_byte, span.last_byte)))
            signed += 1
            if signed % _SIGNED_IN_A_ROW == 0:
                await asyncio.sleep(0)
    return fetches


def _joined(ranges: list[XorbRange]) -> list[XorbRange]:
    """Join ranges of one xorb that overlap or touch."""
    joined: list[XorbRange] = []
    for span in sorted(ranges):
        last = joined[-1] if joined else None
        if last is None or span.start > last.end:
            joined.append(span)
        elif span.end > last.end:
            joined[-1] = last._replace(end=span.end, last_byte=span.last_byte)
    return joined


def _terms(plan: ReconstructionPlan) -> list[PlannedTerm]:
    return [
        PlannedTerm(to_text(term.xorb), term.bytes, ChunkRange(term.start, term.end))
        for term in plan.terms
    ]


def _infos(fetches: Fetches) -> dict[str, list[FetchInfo]]:
    return {
        xorb: [FetchInfo(_chunks(span), url, _bytes(span)) for span, url in signed]
        for xorb, signed in fetches.items()
    }


def _chunks(span: XorbRange) -> ChunkRange:
    return ChunkRange(span.start, span.end)


def _bytes(span: XorbRange) -> ChunkRange:
    return ChunkRange(span.first_byte, span.last_byte)
