"""One file at a time, as releases 0.0.9 to 0.7.0 wrote: ``upload`` and ``delete``; and ``ls``."""

from __future__ import annotations

import asyncio

from hubstead.accounts import find_account
from hubstead.blobs import BlobKey, BlobKind, Sha256Verifier, accept_upload, new_place
from hubstead.commits import Candidate, Change, Committed, Message, choose, commit
from hubstead.discovery import Query, find_all
from hubstead.errors import AccountNotFound, RepoNotFound, Unchanged
from hubstead.ids import Kind
from hubstead.repos import Repo
from hubstead.wire.http import Answer, Call, json_answer
from hubstead.wire.hub_api.commit import branch_of
from hubstead.wire.hub_api.contents import pointer_of
from hubstead.wire.hub_api.incoming import Incoming, receive_file
from hubstead.wire.hub_api.shapes import StoredFile, iso


async def upload(call: Call) -> Answer:
    """Commit one file, whose bytes are the body; large ones become LFS objects here."""
    branch, path = await _where(call)
    git = await call.git()
    with Change(git.draft(), call.hub.settings) as change:
        change.check(path)
        async with receive_file(call) as incoming:
            await _add(call, change, branch, path, incoming)
        done = await _commit(call, branch, change, f"Upload {path}")
    url = f"{call.public_url}/{call.repo.repo_id.web_path}/blob/{branch}/{path}"
    if not done.changed:
        raise Unchanged(path=path, url=url)
    return json_answer({"url": url})


async def delete(call: Call) -> Answer:
    """Commit the deletion of one file."""
    branch, path = await _where(call)
    git = await call.git()
    with Change(git.draft(), call.hub.settings) as change:
        change.remove(path)
        await _commit(call, branch, change, f"Delete {path}")
    return json_answer({})


async def _commit(call: Call, branch: str, change: Change, summary: str) -> Committed:
    return await commit(
        call.hub.stores,
        call.actor,
        call.repo,
        branch=branch,
        change=change,
        message=Message(summary),
    )


async def _add(call: Call, change: Change, branch: str, path: str, incoming: Incoming) -> None:
    git = await call.git()
    empty = call.repo.head is None
    tree = None if empty else git.tree_of((await call.revision(branch)).commit)
    candidate = Candidate(path, incoming.size, incoming.sample)
    choice = (await asyncio.to_thread(choose, git, tree, [candidate], call.hub.settings))[0]
    if not choice.by_lfs:
        await change.put(path, await asyncio.to_thread(incoming.read))
        return
    key = BlobKey(BlobKind.LFS, incoming.sha256)
    verify = Sha256Verifier(incoming.sha256, incoming.size)
    place = await new_place(call.hub.db, key, call.hub.settings)
    await call.hub.blobs.put_file(place, incoming.path, verify)
    await accept_upload(
        call.hub.db,
        call.hub.blobs,
        call.repo.pk,
        key,
        incoming.size,
        pusher_pk=call.actor.pk,
        hold_ms=int(call.hub.settings.hold_seconds * 1000),
        place=place,
    )
    change.put_pointer(path, key.name, incoming.size)


async def _where(call: Call) -> tuple[str, str]:
    text, path = await call.split("rest")
    call.captured["rev"] = [text]
    return branch_of(call), path


async def list_stored(call: Call) -> Answer:
    """List the files of every repository of a namespace (``repo ls-files`` up to 0.4.0)."""
    name = call.query.one("organization") or call.actor.name
    try:
        owner = await find_account(call.hub.db, name)
    except AccountNotFound:
        raise RepoNotFound() from None
    rows: list[StoredFile] = []
    for kind in Kind:
        query = Query(kind=kind, author=owner.name, sort="createdAt")
        async for item in find_all(call.hub.db, call.actor, query):
            rows += await _files(call, item.repo)
    return json_answer(rows)


async def _files(call: Call, repo: Repo) -> list[StoredFile]:
    head = repo.head
    if head is None:
        return []
    git = await call.hub.stores.open_git(repo)

    def read() -> list[StoredFile]:
        files = []
        for entry in git.walk_files(head):
            pointer = pointer_of(git, entry)
            files.append(
                StoredFile(
                    filename=f"{repo.name}/{entry.path}",
                    lastModified=iso(repo.modified_ms),
                    commit=head,
                    size=pointer.size if pointer else entry.size,
                )
            )
        return files

    return await asyncio.to_thread(read)
