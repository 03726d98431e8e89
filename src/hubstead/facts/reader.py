"""Facts of single files: stored ones, or read from the header at first use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from sqlalchemy import and_, bindparam, select

from hubstead.admission import Lane, run_in_lane, start_detached
from hubstead.blobs import BlobKind
from hubstead.blobs.tables import repo_blobs
from hubstead.commits import Storage
from hubstead.db import Reader, Tx, any_of, indexed, insert, scan
from hubstead.errors import StorageFull, Unavailable
from hubstead.facts.files import ModelFile
from hubstead.facts.tables import file_facts
from hubstead.formats import (
    GgufHeader,
    HeaderBytes,
    HeaderSource,
    SafetensorsHeader,
    UnreadableHeader,
    parse_gguf,
    parse_safetensors,
    read_header,
)
from hubstead.gitstore import GitRepo

#: Raised when a reader learns something new, so that stored facts are read again.
READER = 1
#: Headers in memory at the same time, over all requests.
_AT_ONCE = 2
#: Characters of the longest chat template, and of the longest other text, that is a fact.
MAX_TEMPLATE = 128 << 10
MAX_TEXT = 1 << 10

F = TypeVar("F", bound=msgspec.Struct)


class SafetensorsFacts(msgspec.Struct, frozen=True):
    """What the header of a safetensors file says."""

    parameters: dict[str, int]  # elements by type

    @property
    def total(self) -> int:
        """The number of parameters."""
        return sum(self.parameters.values())


class GgufFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the header of a GGUF file says."""

    total: int  # parameters
    architecture: str | None = None
    context_length: int | None = None
    file_type: int | None = None
    chat_template: str | None = None
    bos_token: str | None = None
    eos_token: str | None = None
    quantize_imatrix_file: str | None = None


@dataclass(frozen=True)
class FileFormat(Generic[F]):
    """A format: its name in the table, the parser of its header, and the facts in it."""

    name: str
    facts: type[F]
    parse: Callable[[HeaderBytes, int], Any]
    derive: Callable[[Any], F]


def _safetensors_facts(header: SafetensorsHeader) -> SafetensorsFacts:
    return SafetensorsFacts(header.parameters())


def _gguf_facts(header: GgufHeader) -> GgufFacts:
    architecture = _limited(header.text("general.architecture"))
    return GgufFacts(
        total=header.parameters,
        architecture=architecture,
        context_length=header.integer(f"{architecture}.context_length"),
        file_type=header.integer("general.file_type"),
        chat_template=_limited(header.text("tokenizer.chat_template"), MAX_TEMPLATE),
        bos_token=_limited(header.bos_token),
        eos_token=_limited(header.eos_token),
        quantize_imatrix_file=_limited(header.text("quantize.imatrix.file")),
    )


def _limited(text: str | None, most: int = MAX_TEXT) -> str | None:
    return text if text is not None and len(text) <= most else None


SAFETENSORS = FileFormat("safetensors", SafetensorsFacts, parse_safetensors, _safetensors_facts)
GGUF = FileFormat("gguf", GgufFacts, parse_gguf, _gguf_facts)


class _FactRow(NamedTuple):
    name: str
    reader: int | None
    facts: str | None


#: Only objects that the repository has: a pointer in its tree proves no right to anything.
_STORED = scan(
    select(repo_blobs.c.name, file_facts.c.reader, file_facts.c.facts)
    .outerjoin_from(
        repo_blobs,
        file_facts,
        and_(
            file_facts.c.sha256 == repo_blobs.c.name,
            file_facts.c.format == bindparam("which_format"),
        ),
    )
    .where(
        repo_blobs.c.repo_pk == bindparam("which_pk"),
        repo_blobs.c.kind == BlobKind.LFS.value,
        repo_blobs.c.committed == 1,
        any_of(repo_blobs.c.name, "names"),
    ),
    _FactRow,
)
_NEW = insert(file_facts).values(
    {column.name: bindparam(column.name) for column in file_facts.columns}
)
_SAVE = indexed(
    _NEW.on_conflict_do_update(
        index_elements=["sha256", "format"],
        set_={name: _NEW.excluded[name] for name in ("reader", "facts", "fault")},
    )
)


class FactReader:
    """Reads facts of files; concurrent callers wait for one read of a header."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._running: dict[tuple[str, str], asyncio.Task[str | None]] = {}
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def stored(
        self, repo_pk: int, format_: FileFormat[F], files: Sequence[ModelFile]
    ) -> dict[str, F]:
        """Return the stored facts of LFS files of a repository, by path."""
        rows = await _load(self._storage.db, repo_pk, format_, files)
        texts = {row.name: row.facts for row in rows if row.reader == READER}
        return _decoded(format_, files, texts)

    async def read(
        self, repo_pk: int, git: GitRepo, format_: FileFormat[F], files: Sequence[ModelFile]
    ) -> dict[str, F]:
        """Return the facts of files of a repository, by path; read missing ones and store them.

        Left out are files whose header is unreadable, and pointers to objects that the
        repository does not have.

        Raises:
            BlobNotFound, Unavailable: the bytes of a file cannot be read now.
        """
        rows = await _load(self._storage.db, repo_pk, format_, files)
        texts = {row.name: row.facts for row in rows if row.reader == READER}
        missing = [row.name for row in rows if row.reader != READER]
        read = await asyncio.gather(*(self._read_once(name, format_) for name in missing))
        texts |= dict(zip(missing, read, strict=True))
        for file in files:
            if file.sha256 is None:
                texts[file.oid] = await self._read_git(git, format_, file)
        return _decoded(format_, files, texts)

    async def header(
        self, repo_pk: int, git: GitRepo, format_: FileFormat[F], file: ModelFile
    ) -> Any | None:
        """Return the parsed header of a file of a repository.

        None stands for an unreadable header, and for a pointer to an object that the repository
        does not have. It reads up to the limits of ``formats``; nothing is stored.

        Raises:
            BlobNotFound, Unavailable: the bytes of the file cannot be read now.
        """
        if file.sha256 is not None and not await _load(self._storage.db, repo_pk, format_, [file]):
            return None
        async with self._turn:
            source: HeaderSource = _GitSource(git, file)
            if file.sha256 is not None:
                source = await self._storage.xet.open_object(file.sha256)
            try:
                return await read_header(source, format_.parse)
            except UnreadableHeader:
                return None

    async def _read_once(self, sha256: str, format_: FileFormat[F]) -> str | None:
        key = (sha256, format_.name)
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = start_detached(self._read_object(sha256, format_))
            task.add_done_callback(lambda _task: self._running.pop(key, None))
        return await asyncio.shield(task)

    async def _read_object(self, sha256: str, format_: FileFormat[F]) -> str | None:
        async with self._turn:
            source = await self._storage.xet.open_object(sha256)
            facts, fault = await _derive(source, format_)
        save = partial(
            _save,
            sha256=sha256,
            format=format_.name,
            reader=READER,
            facts=facts,
            fault=fault,
        )
        with suppress(StorageFull, Unavailable):  # the next reader computes them again
            await self._storage.db.write(save)
        return facts

    async def _read_git(self, git: GitRepo, format_: FileFormat[F], file: ModelFile) -> str | None:
        name = f"facts {format_.name} {file.oid}"
        text = git.recall(name)
        if text is None:
            async with self._turn:
                facts, _fault = await _derive(_GitSource(git, file), format_)
            text = (facts or "").encode()
            git.remember(name, text)
        return text.decode() or None


class _GitSource:
    """The content of a file in git."""

    def __init__(self, git: GitRepo, file: ModelFile) -> None:
        self.size = file.size
        self._git = git
        self._oid = file.oid

    async def chunks(self, start: int, count: int) -> AsyncIterator[bytes]:
        """Yield ``count`` bytes from offset ``start``."""
        content = await run_in_lane(Lane.READS, self._git.blob, self._oid)
        yield content[start : start + count]


async def _load(
    db: Reader, repo_pk: int, format_: FileFormat[F], files: Sequence[ModelFile]
) -> list[_FactRow]:
    names = list({file.sha256 for file in files if file.sha256 is not None})
    if not names:
        return []
    return await db.all(_STORED, which_pk=repo_pk, which_format=format_.name, names=names)


def _decoded(
    format_: FileFormat[F], files: Sequence[ModelFile], texts: Mapping[str, str | None]
) -> dict[str, F]:
    known = ((file.path, texts.get(file.sha256 or file.oid)) for file in files)
    return {path: msgspec.json.decode(text, type=format_.facts) for path, text in known if text}


async def _derive(source: HeaderSource, format_: FileFormat[F]) -> tuple[str | None, str | None]:
    try:
        header = await read_header(source, format_.parse)
    except UnreadableHeader as error:
        return None, str(error)
    return msgspec.json.encode(format_.derive(header)).decode(), None


async def _save(tx: Tx, **row: object) -> None:
    await tx.run(_SAVE, **row)
