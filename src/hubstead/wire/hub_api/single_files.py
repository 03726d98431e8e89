"""Single-file routes of releases 0.0.9 to 0.7.0: ``upload``, ``delete`` and ``ls``."""

from __future__ import annotations

from hubstead.accounts import find_account
from hubstead.admission import Lane, run_in_lane
from hubstead.commits import (
    Changeset,
    CommitResult,
    Message,
    RefName,
    UploadCandidate,
    check_upload_paths,
    choose_upload_modes,
    commit,
)
from hubstead.discovery import RepoQuery, search_all_repos
from hubstead.errors import AccountNotFound, RepoNotFound, Unchanged
from hubstead.http import Response, json_response
from hubstead.ids import GIT_KINDS
from hubstead.repos import Repo, Right
from hubstead.wire import Request
from hubstead.wire.hub_api.commit import is_unborn, target_ref
from hubstead.wire.hub_api.file_facts import pointer_of
from hubstead.wire.hub_api.shapes import ListedFile, iso
from hubstead.wire.hub_api.spooled_body import SpooledBody, receive_file


async def upload(request: Request) -> Response:
    """Commit the request body as one file; large files become LFS objects."""
    target, path = await _where(request)
    git = await request.git()
    settings = request.hub.settings.commits
    unborn = is_unborn(request.repo, target)
    tree = None if unborn else git.tree_of((await request.revision(target.revision)).commit)
    await run_in_lane(Lane.READS, check_upload_paths, git, tree, [path], settings)
    with Changeset(git.draft(), settings) as change:
        async with receive_file(request) as incoming:
            await _add(request, change, tree, path, incoming)
        done = await _commit(request, target, change, f"Upload {path}")
    url = f"{request.public_url}/{request.repo.repo_id.web_path}/blob/{target.revision}/{path}"
    if not done.changed:
        raise Unchanged(path=path, url=url)
    return json_response({"url": url})


async def delete(request: Request) -> Response:
    """Commit the deletion of one file."""
    target, path = await _where(request)
    git = await request.git()
    with Changeset(git.draft(), request.hub.settings.commits) as change:
        change.remove(path)
        await _commit(request, target, change, f"Delete {path}")
    return json_response({})


async def _commit(
    request: Request, target: RefName, change: Changeset, summary: str
) -> CommitResult:
    return await commit(
        request.hub.stores,
        request.actor,
        request.repo,
        target=target,
        right=Right.WRITE,
        changeset=change,
        message=Message(summary),
    )


async def _add(
    request: Request, change: Changeset, tree: str | None, path: str, incoming: SpooledBody
) -> None:
    git = await request.git()
    candidate = UploadCandidate(path, incoming.size, incoming.sample)
    settings = request.hub.settings
    (choice,) = await run_in_lane(
        Lane.READS, choose_upload_modes, git, tree, [candidate], settings.commits, settings.lfs
    )
    if not choice.by_lfs:
        await change.put(path, await run_in_lane(Lane.READS, incoming.read))
        return
    async with request.hub.stores.xet.receive_lfs_object(
        request.repo.pk, incoming.sha256, incoming.size, pusher_pk=request.actor.pk
    ) as upload_receiver:
        await upload_receiver.put_file(incoming.path)
    change.put_pointer(path, incoming.sha256, incoming.size)


async def _where(request: Request) -> tuple[RefName, str]:
    revision, path = await request.split("rest")
    return target_ref(request.repo, revision), path


async def list_stored(request: Request) -> Response:
    """List the files of every repository of a namespace (``repo ls-files`` up to 0.4.0)."""
    name = request.query.one("organization") or request.actor.name
    try:
        owner = await find_account(request.hub.db, name, follow=True)
    except AccountNotFound:
        raise RepoNotFound() from None
    rows: list[ListedFile] = []
    for kind in GIT_KINDS:
        query = RepoQuery(kind=kind, author=owner.name, sort="createdAt")
        async for item in search_all_repos(request.hub.db, request.actor, query):
            rows += await _files(request, item.repo)
    return json_response(rows)


async def _files(request: Request, repo: Repo) -> list[ListedFile]:
    head = repo.head
    if head is None:
        return []
    git = await request.hub.stores.open_git(repo)

    def read() -> list[ListedFile]:
        files = []
        for entry in git.walk_files(head):
            pointer = pointer_of(git, entry)
            files.append(
                ListedFile(
                    filename=f"{repo.name}/{entry.path}",
                    lastModified=iso(repo.modified_ms),
                    commit=head,
                    size=pointer.size if pointer else entry.size,
                )
            )
        return files

    return await run_in_lane(Lane.READS, read)
