"""Background jobs of the room: facts are read after a push, and deleted with their files."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from sqlalchemy import and_, bindparam, delete, exists, select

from hubstead.admission import Lane, run_in_lane
from hubstead.blobs import BlobKind
from hubstead.blobs.tables import blobs
from hubstead.commits import RefKind, RefName, Storage
from hubstead.db import Tx, indexed, scan
from hubstead.errors import BlobNotFound
from hubstead.facts.files import list_model_files
from hubstead.facts.models import model_facts
from hubstead.facts.reader import FactReader
from hubstead.facts.tables import file_facts
from hubstead.ids import Kind
from hubstead.jobs import Job, JobType, Reschedule, enqueue
from hubstead.outbox import Listener, RecordedEvent
from hubstead.repos import RefsMoved
from hubstead.repos.tables import repos

READ = "facts.read"
PRUNE = "facts.prune"
PRUNE_EVERY_S = 86_400.0
#: How many rows one transaction deletes.
PRUNE_BATCH = 1000


class _RepoRow(NamedTuple):
    pk: int
    id: str
    packs: int
    head: str | None


_FIND = indexed(
    select(*(repos.c[name] for name in _RepoRow._fields)).where(
        repos.c.pk == bindparam("repo_pk"), repos.c.kind == Kind.MODEL.value
    ),
    _RepoRow,
)
_HAS_OBJECT = and_(blobs.c.kind == BlobKind.LFS.value, blobs.c.name == file_facts.c.sha256)
_WITHOUT_OBJECT = select(file_facts.c.sha256).where(~exists().where(_HAS_OBJECT)).limit(PRUNE_BATCH)
_DELETE = scan(delete(file_facts).where(file_facts.c.sha256.in_(_WITHOUT_OBJECT)))


async def _enqueue_reading(tx: Tx, recorded: RecordedEvent) -> None:
    event = msgspec.json.decode(recorded.payload, type=RefsMoved)
    moved = (RefName.parse(move[0]).kind for move in event.moves)
    if recorded.subject and event.kind == Kind.MODEL.value and RefKind.BRANCH in moved:
        await enqueue(tx, READ, str(recorded.subject.pk))


#: The subscription of this room: after a branch of a model has moved, its headers are read.
FACT_LISTENER = Listener(_enqueue_reading, (RefsMoved,))


def fact_jobs(storage: Storage, reader: FactReader) -> list[JobType]:
    """Return the room's types of jobs."""

    async def read(job: Job) -> None:
        if job.subject.isdigit():
            await _read_head(storage, reader, int(job.subject))

    async def prune(_job: Job) -> Reschedule | None:
        deleted = await storage.db.execute(_DELETE)
        return Reschedule() if deleted >= PRUNE_BATCH else None

    return [
        JobType(name=READ, handler=read),
        JobType(name=PRUNE, handler=prune, interval_s=PRUNE_EVERY_S),
    ]


async def _read_head(storage: Storage, reader: FactReader, repo_pk: int) -> None:
    """Read and store the facts of a model at the head of its default branch."""
    repo = await storage.db.one(_FIND, repo_pk=repo_pk)
    if repo is None or repo.head is None:
        return
    git = await storage.open_git(repo)
    files = await run_in_lane(Lane.BACKGROUND, list_model_files, git, repo.head)
    try:
        await model_facts(reader, repo.pk, git, files)
    except BlobNotFound:
        return  # lost bytes: the doctor reports them, and no repetition restores them
