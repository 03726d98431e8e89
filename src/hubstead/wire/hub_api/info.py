"""``GET /api/{kinds}/{repo}``: the description of a repository, and the list of its files."""

from __future__ import annotations

from typing import Any

import msgspec

from hubstead.admission import Lane, run_in_lane
from hubstead.errors import HubError
from hubstead.facts import NO_FACTS, ModelFacts, list_model_files, model_facts
from hubstead.gitstore import GitRepo
from hubstead.http import Response, json_response
from hubstead.repos import Repo, load_details, measure_deduplication
from hubstead.wire import Hub, Request
from hubstead.wire.hub_api.file_facts import lfs_facts, readable_xet_hashes
from hubstead.wire.hub_api.repo_json import (
    INFO,
    NO_SIBLINGS,
    RepoFacts,
    expanded_json,
    needs_model_facts,
    needs_siblings,
    repo_json,
)
from hubstead.wire.hub_api.shapes import Scan

# This hub has no scanner, and the answers say so. Releases 0.5 to 0.26 read ``containsInfected``,
# later ones ``securityRepoStatus``.
_SECURITY = {
    "securityStatus": {"containsInfected": False},
    "securityRepoStatus": Scan(),
}


async def get_repo_info(request: Request) -> Response:
    """Describe a repository at its default branch, or at a revision."""
    facts = await _load_facts(request)
    expand = request.query.all("expand")
    if expand:
        return json_response(expanded_json(facts, expand))
    answer = repo_json(facts, INFO[facts.repo.kind])
    if request.query.flag("securityStatus"):
        answer |= _SECURITY
    return json_response(answer)


async def get_scan(request: Request) -> Response:
    """Report that this hub scans no files."""
    del request
    return json_response(Scan())


async def _load_facts(request: Request) -> RepoFacts:
    repo, expand = request.repo, request.query.all("expand")
    text = "/".join(request.segments("rev")) or request.query.one("revision") or "HEAD"
    empty = repo.head is None and text in ("HEAD", repo.default_branch)
    commit = None if empty else (await request.revision(text)).commit
    git = await request.git()
    details = await load_details(request.hub.db, repo)
    files = NO_SIBLINGS
    if commit is not None and (not expand or needs_siblings(expand)):
        blobs = request.query.flag("blobs")
        files = await list_siblings(git, commit, blobs=blobs)
        if blobs:
            files = await _add_xet_hashes(request, files)
    sharing = None
    if "deduplication" in expand:
        sharing = await measure_deduplication(request.hub.db, request.actor, repo)
    model = NO_FACTS
    if commit is not None and needs_model_facts(repo.kind, expand or INFO[repo.kind]):
        model = await read_model_facts(request.hub, repo, git, commit)
    return RepoFacts(repo, details, commit, files, sharing, model)


async def read_model_facts(
    hub: Hub, repo: Repo, git: GitRepo, commit: str, *, read: bool = True
) -> ModelFacts:
    """Return the facts in the headers of a commit's model files.

    A file whose bytes cannot be read now has none: the rest of the answer does not depend on it.

    Args:
        hub: The services.
        repo: The repository.
        git: Its objects.
        commit: The commit.
        read: Whether headers that nobody has read yet are read now, or have no facts.
    """
    files = await run_in_lane(Lane.READS, list_model_files, git, commit)
    if not files:
        return NO_FACTS
    try:
        return await model_facts(hub.facts, repo.pk, git, files, read=read)
    except HubError:
        return NO_FACTS


async def list_siblings(git: GitRepo, commit: str, *, blobs: bool = False) -> msgspec.Raw:
    """Return the files of a commit in byte order as JSON, with sizes and ids if ``blobs``.

    A commit never changes, so its list is cached.
    """
    name = f"siblings {commit} {blobs:d}"
    siblings = git.recall(name)
    if siblings is None:
        siblings = await run_in_lane(Lane.READS, _read_siblings, git, commit, blobs)
        git.remember(name, siblings)
    return msgspec.Raw(siblings)


def _read_siblings(git: GitRepo, commit: str, blobs: bool) -> bytes:
    entries = sorted(git.walk_files(commit), key=lambda entry: entry.path)
    files = [entry for entry in entries if entry.type in ("blob", "link")]
    if not blobs:
        return msgspec.json.encode([{"rfilename": entry.path} for entry in files])
    siblings = []
    for entry in files:
        item: dict[str, Any] = {"rfilename": entry.path, "blobId": entry.oid}
        lfs = lfs_facts(git, entry)
        item["size"] = lfs.size if lfs else entry.size
        if lfs:
            item["lfs"] = {"sha256": lfs.oid, "size": lfs.size, "pointerSize": lfs.pointerSize}
        siblings.append(item)
    return msgspec.json.encode(siblings)


async def _add_xet_hashes(request: Request, siblings: msgspec.Raw) -> msgspec.Raw:
    """Add the Xet hashes, which depend on the caller and change with time, so are not cached."""
    files = await run_in_lane(Lane.READS, msgspec.json.decode, siblings)
    large = [file for file in files if "lfs" in file]
    hashes = await readable_xet_hashes(request, (file["lfs"]["sha256"] for file in large))
    if not hashes:
        return siblings
    for file in large:
        if file["lfs"]["sha256"] in hashes:
            file["xetHash"] = hashes[file["lfs"]["sha256"]]
    return msgspec.Raw(await run_in_lane(Lane.READS, msgspec.json.encode, files))
