"""Plans: which ranges of which xorbs make up a file, or a part of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp

from hubstead.errors import InvalidInput, NotFound, RangeNotSatisfiable
from hubstead.http import Response, get_header, json_response, parse_range
from hubstead.repos import Right, XetToken
from hubstead.wire import Request
from hubstead.wire.xet.authorization import NOTHING_HERE, authorize
from hubstead.wire.xet.ranges import Addresses
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
from hubstead.xet import (
    NO_HASH,
    PlannedFile,
    ReconstructionPlan,
    XetFile,
    XorbRange,
    find_lfs_object,
    to_raw,
    to_text,
)

MOST_FILES = 100
MOST_TERMS = 200_000
#: Answers with more terms are put together in a thread.
_MANY_TERMS = 1000
#: Other requests get a turn after so many addresses were signed.
_SIGNED_IN_A_ROW = 200
_OLD_RANGE = re.compile(r"\s*\d+-\d*\s*")  # what hf_xet 1.0.0 may write

#: Names of xorbs to what is to be fetched of them, and from where.
Fetches = dict[str, list[tuple[XorbRange, str]]]


async def plan_v1(request: Request) -> ASGIApp:
    """Say where the bytes of a file are, or of a range of it."""
    plan, fetches = await _planned(request)

    def answer() -> Response:
        return json_response(PlanV1(plan.offset, _terms(plan), _infos(fetches)))

    return await _written(answer, len(plan.terms))


async def plan_v2(request: Request) -> ASGIApp:
    """Say where the bytes of a file are, or of a range of it, in the newer form."""
    plan, fetches = await _planned(request)

    def answer() -> Response:
        xorbs = {
            xorb: [XorbFetch(url, [FetchRange(_chunks(one), _bytes(one))]) for one, url in found]
            for xorb, found in fetches.items()
        }
        return json_response(PlanV2(plan.offset, _terms(plan), xorbs))

    return await _written(answer, len(plan.terms))


async def plan_several(request: Request) -> ASGIApp:
    """Say where the bytes of several files are; those that are not here are left out."""
    shown = await authorize(request, Right.READ)
    plans = [
        (name, await _whole_plan(request, file)) for name, file in await _several(request, shown)
    ]
    ranges: dict[bytes, list[XorbRange]] = {}
    blobs: dict[bytes, str] = {}
    for _, plan in plans:
        blobs |= plan.blobs
        for xorb, found in plan.made.ranges.items():
            ranges.setdefault(xorb, []).extend(found)
    joined = {xorb: _joined(found) for xorb, found in ranges.items()}
    fetches = await _fetches(request, joined, blobs)

    def answer() -> Response:
        files = {name: _terms(plan.made) for name, plan in plans}
        return json_response(BatchPlan(files, _infos(fetches)))

    return await _written(answer, sum(len(plan.made.terms) for _, plan in plans))


async def _several(request: Request, shown: XetToken) -> list[tuple[str, XetFile]]:
    names = list(dict.fromkeys(request.query.all("file_id")))
    if len(names) > MOST_FILES:
        raise InvalidInput(reason=f"Ask for at most {MOST_FILES} files at once")
    found = []
    left = MOST_TERMS
    for name in names:
        file = await _file(request, shown, name)
        if file is not None:
            found.append((name, file))
            left -= len(file.terms)
        if left < 0:
            raise InvalidInput(reason=f"These files have more than {MOST_TERMS} terms: ask apart")
    return found


async def _whole_plan(request: Request, file: XetFile) -> PlannedFile:
    return await request.hub.stores.xet.plan(file, 0, file.bytes)


async def _written(answer: Callable[[], Response], terms: int) -> Response:
    return await asyncio.to_thread(answer) if terms > _MANY_TERMS else answer()


async def file_size(request: Request) -> ASGIApp:
    """Say how large a file is."""
    shown = await authorize(request, Right.READ)
    return SizeResponse((await _known_file(request, shown)).bytes)


async def no_chunk_hashes(request: Request) -> ASGIApp:
    """Say that hashes of chunks are told to nobody; no client's upload needs them."""
    await authorize(request, Right.READ)
    raise NotFound(reason=NOTHING_HERE)


async def _planned(request: Request) -> tuple[ReconstructionPlan, Fetches]:
    """Return the plan for what the call asks for, and from where each range can be had."""
    shown = await authorize(request, Right.READ)
    file = await _known_file(request, shown)
    start, end = _asked(request, file.bytes)
    plan = await request.hub.stores.xet.plan(file, start, end)
    return plan.made, await _fetches(request, plan.made.ranges, plan.blobs)


async def _known_file(request: Request, shown: XetToken) -> XetFile:
    file = await _file(request, shown, request.text("file"))
    if file is None:
        raise NotFound(reason=NOTHING_HERE)
    return file


async def _file(request: Request, shown: XetToken, name: str) -> XetFile | None:
    """Return a file if it is in the repository of the pass.

    What was uploaded and never committed is only for those who may write there.
    """
    if to_raw(name) == NO_HASH:
        return XetFile.empty()
    file = await request.hub.stores.xet.file(name)
    found = file and await find_lfs_object(request.hub.db, request.repo.pk, file.sha256)
    return file if found and (found.committed or shown.write) else None


def _asked(request: Request, size: int) -> tuple[int, int]:
    """Return from which byte to just before which one is asked for."""
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
    addresses = Addresses(request)
    found: Fetches = {}
    signed = 0
    for xorb, wanted in ranges.items():
        blob, told = blobs[xorb], found.setdefault(to_text(xorb), [])
        for one in wanted:
            told.append((one, await addresses.of(blob, one.first_byte, one.last_byte)))
            signed += 1
            if signed % _SIGNED_IN_A_ROW == 0:
                await asyncio.sleep(0)
    return found


def _joined(ranges: list[XorbRange]) -> list[XorbRange]:
    """Join ranges of one xorb that overlap or touch."""
    joined: list[XorbRange] = []
    for one in sorted(ranges):
        last = joined[-1] if joined else None
        if last is None or one.start > last.end:
            joined.append(one)
        elif one.end > last.end:
            joined[-1] = last._replace(end=one.end, last_byte=one.last_byte)
    return joined


def _terms(plan: ReconstructionPlan) -> list[PlannedTerm]:
    return [
        PlannedTerm(to_text(term.xorb), term.bytes, ChunkRange(term.start, term.end))
        for term in plan.terms
    ]


def _infos(fetches: Fetches) -> dict[str, list[FetchInfo]]:
    return {
        xorb: [FetchInfo(_chunks(one), url, _bytes(one)) for one, url in found]
        for xorb, found in fetches.items()
    }


def _chunks(one: XorbRange) -> ChunkRange:
    return ChunkRange(one.start, one.end)


def _bytes(one: XorbRange) -> ChunkRange:
    return ChunkRange(one.first_byte, one.last_byte)
