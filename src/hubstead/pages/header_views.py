"""What the headers of safetensors and GGUF files say, as tables."""

from __future__ import annotations

from typing import Any

import msgspec

from hubstead.admission import Lane, run_in_lane
from hubstead.errors import BlobNotFound, Unavailable
from hubstead.facts import GGUF, SAFETENSORS, FileFormat, ModelFile
from hubstead.formats import GgufArray, GgufHeader, SafetensorsHeader
from hubstead.gitstore import GitRepo
from hubstead.pages.render import count_for_people, grouped
from hubstead.pages.repo_page import Line
from hubstead.wire import Request

#: Tensors and keys of a page, and characters of a value.
MAX_TENSORS = 1000
MAX_KEYS = 500
MAX_VALUE = 400


class TensorRow(msgspec.Struct, frozen=True):
    """A tensor: its name, type, dimensions, and size in bytes."""

    name: str
    dtype: str
    shape: list[int]
    bytes: int


class HeaderView(msgspec.Struct, frozen=True):
    """A header: sums, the first tensors of ``total``, and the metadata."""

    facts: list[tuple[str, str]]
    metadata: list[tuple[str, str]]
    tensors: list[TensorRow] = []
    total: int = 0


_decoder = msgspec.json.Decoder(HeaderView)


async def header_of(request: Request, git: GitRepo, line: Line) -> HeaderView | None:
    """Return the header of a model file, read once and cached; None if it cannot be read."""
    file = _model_file(line)
    is_gguf_file = line.entry.path.lower().endswith(".gguf")
    format_: FileFormat[Any] = GGUF if is_gguf_file else SAFETENSORS
    name = f"header view {format_.name} {file.oid}"
    cached = git.recall(name)
    if cached is not None:
        return _decoder.decode(cached)
    try:
        header = await request.hub.facts.header(request.repo.pk, git, format_, file)
    except (BlobNotFound, Unavailable):
        return None
    if header is None:
        return None
    view = await run_in_lane(Lane.READS, _view, header)
    git.remember(name, msgspec.json.encode(view))
    return view


def _model_file(line: Line) -> ModelFile:
    sha256 = line.pointer.oid if line.pointer else None
    return ModelFile(line.entry.path, line.entry.oid, line.size, sha256)


def _view(header: SafetensorsHeader | GgufHeader) -> HeaderView:
    return _safetensors(header) if isinstance(header, SafetensorsHeader) else _gguf(header)


def _safetensors(header: SafetensorsHeader) -> HeaderView:
    counts = header.parameters()
    facts = [
        ("Parameters", count_for_people(sum(counts.values()))),
        ("Tensors", grouped(len(header.tensors))),
        ("Types", ", ".join(f"{name} {count_for_people(count)}" for name, count in counts.items())),
    ]
    names = sorted(header.tensors)[:MAX_TENSORS]
    rows = [
        TensorRow(name, tensor.dtype, list(tensor.shape), end - start)
        for name in names
        for tensor in [header.tensors[name]]
        for start, end in [tensor.data_offsets]
    ]
    metadata = [(key, _shown(value)) for key, value in list(header.metadata.items())[:MAX_KEYS]]
    return HeaderView(facts, metadata, rows, len(header.tensors))


def _gguf(header: GgufHeader) -> HeaderView:
    facts = [
        ("Version", str(header.version)),
        ("Parameters", count_for_people(header.parameters)),
        ("Tensors", grouped(header.tensors)),
    ]
    keys = list(header.metadata.items())[:MAX_KEYS]
    return HeaderView(facts, [(key, _shown(value)) for key, value in keys], [], header.tensors)


def _shown(value: Any) -> str:
    if isinstance(value, GgufArray):
        return f"{grouped(value.length)} values"
    text = str(value)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"
