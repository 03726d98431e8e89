"""What a repository is: the info answer, whole or the properties asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from hubstead import cards
from hubstead.errors import InvalidInput
from hubstead.gitstore import GitRepo
from hubstead.http import Response, json_response
from hubstead.ids import Kind
from hubstead.repos import Deduplication, Repo, RepoDetails, load_details, measure_deduplication
from hubstead.wire import Request
from hubstead.wire.hub_api.file_facts import lfs_facts, readable_xet_hashes
from hubstead.wire.hub_api.shapes import iso


@dataclass(frozen=True)
class RepoFacts:
    """What an answer about a repository is made from."""

    repo: Repo
    details: RepoDetails
    commit: str | None  # of the revision asked for
    siblings: msgspec.Raw  # JSON: the files of that revision, none unless they are asked for
    sharing: Deduplication | None = None  # worked out only if it is asked for


async def info(request: Request) -> Response:
    """Describe a repository at its default branch, or at a revision."""
    text = "/".join(request.segments("rev")) or "HEAD"
    empty = request.repo.head is None and text in ("HEAD", request.repo.default_branch)
    revision = None if empty else await request.revision(text)
    git = await request.git()
    kept = await load_details(request.hub.db, request.repo)
    commit = revision.commit if revision else None
    expand = request.query.all("expand")
    files = NO_SIBLINGS
    if commit is not None and (not expand or needs_siblings(expand)):
        blobs = request.query.flag("blobs")
        files = await siblings(git, commit, blobs=blobs)
        if blobs:
            files = await _with_xet_hashes(request, files)
    sharing = None
    if "deduplication" in expand:
        sharing = await measure_deduplication(request.hub.db, request.actor, request.repo)
    known = RepoFacts(request.repo, kept, commit, files, sharing)
    if expand:
        return json_response(expanded(known, expand))
    answer = _whole(known)
    if request.query.flag("securityStatus"):
        answer |= _SECURITY
    return json_response(answer)


# There is no scanner here, and the answer says so. ``containsInfected`` is what releases 0.5 to
# 0.26 read, ``securityRepoStatus`` what later ones do.
_SECURITY = {
    "securityStatus": {"containsInfected": False},
    "securityRepoStatus": {"scansDone": False, "filesWithIssues": []},
}


NO_SIBLINGS = msgspec.Raw(b"[]")


def needs_siblings(expand: list[str]) -> bool:
    """Tell whether one of these properties is made from the files of the revision."""
    return "siblings" in expand or "files" in expand


async def siblings(git: GitRepo, commit: str, *, blobs: bool = False) -> msgspec.Raw:
    """List the files of a commit in byte order, with sizes and ids if ``blobs``, as JSON.

    A commit never changes, so what was made for it once is kept for a while.
    """
    name = f"siblings {commit} {blobs:d}"
    listed = git.recall(name)
    if listed is None:
        listed = await asyncio.to_thread(_siblings, git, commit, blobs)
        git.remember(name, listed)
    return msgspec.Raw(listed)


async def _with_xet_hashes(request: Request, listed: msgspec.Raw) -> msgspec.Raw:
    """Add to files what depends on who asks, and when."""
    files = await asyncio.to_thread(msgspec.json.decode, listed)
    large = [file for file in files if "lfs" in file]
    hashes = await readable_xet_hashes(request, (file["lfs"]["sha256"] for file in large))
    if not hashes:
        return listed
    for file in large:
        if file["lfs"]["sha256"] in hashes:
            file["xetHash"] = hashes[file["lfs"]["sha256"]]
    return msgspec.Raw(await asyncio.to_thread(msgspec.json.encode, files))


def _siblings(git: GitRepo, commit: str, blobs: bool) -> bytes:
    entries = sorted(git.walk_files(commit), key=lambda entry: entry.path)
    files = [entry for entry in entries if entry.type in ("blob", "link")]
    if not blobs:
        return msgspec.json.encode([{"rfilename": entry.path} for entry in files])
    listed = []
    for entry in files:
        item: dict[str, Any] = {"rfilename": entry.path, "blobId": entry.oid}
        lfs = lfs_facts(git, entry)
        item["size"] = lfs.size if lfs else entry.size
        if lfs:
            item["lfs"] = {"sha256": lfs.oid, "size": lfs.size, "pointerSize": lfs.pointerSize}
        listed.append(item)
    return msgspec.json.encode(listed)


def _whole(known: RepoFacts) -> dict[str, Any]:
    names = [*_COMMON, *_DEFAULT[known.repo.kind]]
    answer = _identity(known)
    answer |= _properties(known, names)
    if known.repo.kind is Kind.DATASET and "cardData" in answer:
        answer["card_data"] = answer["cardData"]  # read by releases up to 0.2.1
    return answer


def expanded(known: RepoFacts, names: list[str]) -> dict[str, Any]:
    """Return ``_id``, ``id`` and the properties that ``expand`` names.

    Raises:
        InvalidInput: for a property there is not, in words that clients' tests look for.
    """
    for name in names:
        if name not in PROPERTIES:
            raise InvalidInput(reason=_unknown_property(known.repo.kind))
    return {"_id": known.repo.id, "id": known.repo.full_name} | _properties(known, names)


def _unknown_property(kind: Kind) -> str:
    """Name the properties of a kind, in the words that suites of old and of new clients read."""
    allowed = sorted(NAMED[kind])
    quoted = "|".join(f'"{name}"' for name in allowed)
    return f'"expand" must be one of [{", ".join(allowed)}]: expected one of {quoted}'


def _identity(known: RepoFacts) -> dict[str, Any]:
    answer: dict[str, Any] = {"_id": known.repo.id, "id": known.repo.full_name}
    if known.repo.kind is Kind.MODEL:
        answer["modelId"] = known.repo.full_name
    return answer


def _properties(known: RepoFacts, names: list[str]) -> dict[str, Any]:
    found = ((name, PROPERTIES[name](known)) for name in dict.fromkeys(names))
    return {name: value for name, value in found if value is not None}


def _raw(text: str | None) -> msgspec.Raw | None:
    return msgspec.Raw(text.encode()) if text else None


def _card_field(name: str) -> Callable[[RepoFacts], Any]:
    def read(known: RepoFacts) -> Any:
        if not known.details.card:
            return None
        return msgspec.json.decode(known.details.card).get(name)

    return read


def _only(*kinds: Kind) -> Callable[[Callable[[RepoFacts], Any]], Callable[[RepoFacts], Any]]:
    def wrap(read: Callable[[RepoFacts], Any]) -> Callable[[RepoFacts], Any]:
        return lambda known: read(known) if known.repo.kind in kinds else None

    return wrap


def _transformers_info(known: RepoFacts) -> Any:
    if not known.details.config or known.details.library_name != "transformers":
        return None
    config = msgspec.json.decode(known.details.config)
    return cards.transformers_info(config, known.details.pipeline_tag)


def _runtime(known: RepoFacts) -> dict[str, Any]:
    """Say that nothing runs: this server keeps spaces, it does not run them."""
    return {
        "stage": "STOPPED",
        "hardware": {"current": None, "requested": None},
        "storage": None,
        "gcTimeout": None,
        "replicas": {"current": 0, "requested": 0},
    }


def _subdomain(known: RepoFacts) -> str:
    return known.repo.full_name.lower().replace("/", "-").replace("_", "-").replace(".", "-")


def _file_names(known: RepoFacts) -> list[str]:
    return [file["rfilename"] for file in msgspec.json.decode(known.siblings)]


def _deduplication(known: RepoFacts) -> dict[str, Any] | None:
    """Say what the files take: an answer of ours, which no other hub has."""
    if known.sharing is None:
        return None
    return {
        "logicalBytes": known.sharing.logical,
        "storedBytes": known.sharing.stored,
        "uniqueBytes": known.sharing.unique,
        "sharedBytes": known.sharing.shared,
        "sharedWith": [
            {"name": one.repo.full_name, "type": one.repo.kind.value, "bytes": one.bytes}
            for one in known.sharing.shared_with[:MOST_TOLD]
        ],
    }


#: How many repositories ``deduplication`` names, those that share the most.
MOST_TOLD = 100

_model = _only(Kind.MODEL, Kind.KERNEL)
_dataset = _only(Kind.DATASET)
_space = _only(Kind.SPACE)

#: Every property that ``expand`` may name (protocol/hub-api.md 3.3). One that has nothing to say is
#: left out.
PROPERTIES: dict[str, Callable[[RepoFacts], Any]] = {
    "author": lambda known: known.repo.owner,
    "sha": lambda known: known.commit,
    "lastModified": lambda known: iso(known.repo.modified_ms),
    "createdAt": lambda known: iso(known.repo.created_ms),
    "private": lambda known: known.repo.private,
    "disabled": lambda known: known.repo.disabled,
    "gated": lambda known: known.repo.gated or False,
    "downloads": lambda known: known.details.downloads,
    "downloadsAllTime": lambda known: known.details.downloads_all_time,
    "likes": lambda known: known.details.likes,
    "trendingScore": lambda known: known.details.trending,
    "tags": lambda known: _raw(known.details.tags),
    "cardData": lambda known: _raw(known.details.card),
    "usedStorage": lambda known: known.details.used_bytes,
    "siblings": lambda known: known.siblings,
    "deduplication": _deduplication,
    "resourceGroup": lambda known: None,
    "xetEnabled": lambda known: True,
    "gitalyUid": lambda known: None,
    "pipeline_tag": _model(lambda known: known.details.pipeline_tag),
    "library_name": _model(lambda known: known.details.library_name),
    "config": _model(lambda known: _raw(known.details.config)),
    "transformersInfo": _model(_transformers_info),
    "model-index": _model(_card_field("model-index")),
    "widgetData": _model(_card_field("widget")),
    "mask_token": lambda known: None,
    "safetensors": lambda known: None,
    "gguf": lambda known: None,
    "inference": lambda known: None,
    "inferenceProviderMapping": _model(lambda known: []),
    "baseModels": lambda known: None,
    "childrenModelCount": lambda known: None,
    "evalResults": lambda known: None,
    "spaces": lambda known: None,
    "citation": lambda known: None,
    "description": _dataset(lambda known: ""),
    "paperswithcode_id": lambda known: None,
    "mainSize": lambda known: None,
    "sdk": _space(lambda known: known.repo.sdk),
    "subdomain": _space(_subdomain),
    "runtime": _space(_runtime),
    "models": _space(_card_field("models")),
    "datasets": _space(_card_field("datasets")),
    "region": lambda known: None,
    "files": _only(Kind.KERNEL)(_file_names),
    "buildMetadata": lambda known: None,
    "supportedDriverFamilies": lambda known: None,
    "arxivIds": lambda known: None,
}
_COMMON = (
    "author sha lastModified createdAt private disabled gated downloads likes tags cardData "
    "usedStorage siblings"
).split()
_DEFAULT = {
    Kind.MODEL: ["pipeline_tag", "library_name", "config", "transformersInfo", "model-index"],
    Kind.DATASET: ["description"],
    Kind.SPACE: ["sdk", "subdomain", "runtime", "models", "datasets"],
    Kind.KERNEL: ["files"],
}
#: What ``expand`` takes for each kind, as refusals name it. Any known property is taken for any.
_ALL_KINDS = (
    "author cardData createdAt disabled gitalyUid lastModified likes private resourceGroup sha "
    "siblings tags trendingScore usedStorage xetEnabled"
).split()
_COUNTED = ["downloads", "downloadsAllTime", "gated"]
NAMED = {
    Kind.MODEL: [
        *_ALL_KINDS,
        *_COUNTED,
        *(
            "baseModels childrenModelCount config evalResults gguf inference "
            "inferenceProviderMapping library_name mask_token model-index pipeline_tag "
            "safetensors spaces transformersInfo widgetData"
        ).split(),
    ],
    Kind.DATASET: [
        *_ALL_KINDS,
        *_COUNTED,
        *"citation description mainSize paperswithcode_id".split(),
    ],
    Kind.SPACE: [*_ALL_KINDS, *"datasets models region runtime sdk subdomain".split()],
    Kind.KERNEL: [
        *_ALL_KINDS,
        *_COUNTED,
        *"arxivIds buildMetadata files supportedDriverFamilies".split(),
    ],
}
