"""The JSON of a repository, for the answers that describe one and those that list many.

``PROPERTIES`` computes each property from ``RepoFacts``; ``INFO``, ``LIST`` and ``FULL`` name the
properties of an info answer, of an item in a list, and what ``full`` adds to such an item. To add
a field, write its property and add its name to the answers that carry it. A property whose value
is None is omitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from hubstead import cards
from hubstead.errors import UnknownProperty
from hubstead.facts import NO_FACTS, ModelFacts
from hubstead.ids import Kind
from hubstead.repos import Deduplication, Repo, RepoDetails
from hubstead.wire.hub_api.shapes import iso

NO_SIBLINGS = msgspec.Raw(b"[]")
#: How many repositories ``deduplication`` names: those that share the most bytes.
MAX_SHARING_REPOS = 100


@dataclass(frozen=True)
class RepoFacts:
    """The input of every property."""

    repo: Repo
    details: RepoDetails
    commit: str | None  # of the requested revision
    siblings: msgspec.Raw  # JSON list of its files; empty unless requested
    sharing: Deduplication | None = None  # measured only on request
    model: ModelFacts = NO_FACTS  # read only for models


Property: TypeAlias = Callable[[RepoFacts], Any]


def repo_json(facts: RepoFacts, names: Iterable[str]) -> dict[str, Any]:
    """Return the properties called ``names``, in that order, without those that are None."""
    values = ((name, PROPERTIES[name](facts)) for name in dict.fromkeys(names))
    return {name: value for name, value in values if value is not None}


def expanded_json(facts: RepoFacts, names: list[str]) -> dict[str, Any]:
    """Return ``_id``, ``id`` and the properties that the parameter ``expand`` names.

    Raises:
        UnknownProperty: a property does not exist.
    """
    if not set(names) <= _EXPANDABLE:
        allowed = tuple(sorted(EXPAND[facts.repo.kind]))
        raise UnknownProperty(
            reason=f'"expand" must be one of [{", ".join(allowed)}]', names=allowed
        )
    return repo_json(facts, ["_id", "id", *names])


def needs_siblings(names: Iterable[str]) -> bool:
    """Tell whether one of these properties reads the files of the revision."""
    return not {"siblings", "files"}.isdisjoint(names)


def needs_model_facts(kind: Kind, names: Iterable[str]) -> bool:
    """Tell whether one of these properties reads the headers of a repository's model files."""
    return kind is Kind.MODEL and not {"safetensors", "gguf"}.isdisjoint(names)


def _raw(text: str | None) -> msgspec.Raw | None:
    return msgspec.Raw(text.encode()) if text else None


def _card_field(name: str) -> Property:
    def read(facts: RepoFacts) -> Any:
        if not facts.details.card:
            return None
        return msgspec.json.decode(facts.details.card).get(name)

    return read


def _only(*kinds: Kind) -> Callable[[Property], Property]:
    def restrict(read: Property) -> Property:
        return lambda facts: read(facts) if facts.repo.kind in kinds else None

    return restrict


def _absent(_facts: RepoFacts) -> None:
    """Return None: ``expand`` accepts the property, and this hub has no value for it."""


def _transformers_info(facts: RepoFacts) -> Any:
    if not facts.details.config or facts.details.library_name != "transformers":
        return None
    config = msgspec.json.decode(facts.details.config)
    return cards.transformers_info(config, facts.details.pipeline_tag)


def _runtime(_facts: RepoFacts) -> dict[str, Any]:
    """Report a stopped space: this hub stores spaces and does not run them."""
    return {
        "stage": "STOPPED",
        "hardware": {"current": None, "requested": None},
        "storage": None,
        "gcTimeout": None,
        "replicas": {"current": 0, "requested": 0},
    }


def _subdomain(facts: RepoFacts) -> str:
    return facts.repo.full_name.lower().replace("/", "-").replace("_", "-").replace(".", "-")


def _file_names(facts: RepoFacts) -> list[str]:
    return [file["rfilename"] for file in msgspec.json.decode(facts.siblings)]


def _deduplication(facts: RepoFacts) -> dict[str, Any] | None:
    """Report the bytes that the files take: a property that only this hub has."""
    if facts.sharing is None:
        return None
    return {
        "logicalBytes": facts.sharing.logical,
        "storedBytes": facts.sharing.stored,
        "uniqueBytes": facts.sharing.unique,
        "sharedBytes": facts.sharing.shared,
        "sharedWith": [
            {"name": other.repo.full_name, "type": other.repo.kind.value, "bytes": other.bytes}
            for other in facts.sharing.shared_with[:MAX_SHARING_REPOS]
        ],
    }


_model = _only(Kind.MODEL, Kind.KERNEL)
_dataset = _only(Kind.DATASET)
_space = _only(Kind.SPACE)

#: Every property by its name in the JSON (protocol/hub-api.md 3.3).
PROPERTIES: dict[str, Property] = {
    "_id": lambda facts: facts.repo.id,
    "id": lambda facts: facts.repo.full_name,
    "modelId": lambda facts: facts.repo.full_name,
    "author": lambda facts: facts.repo.owner,
    "sha": lambda facts: facts.commit,
    "lastModified": lambda facts: iso(facts.repo.modified_ms),
    "createdAt": lambda facts: iso(facts.repo.created_ms),
    "private": lambda facts: facts.repo.private,
    "disabled": lambda facts: facts.repo.disabled,
    "gated": lambda facts: facts.repo.gated or False,
    "downloads": lambda facts: facts.details.downloads,
    "downloadsAllTime": lambda facts: facts.details.downloads_all_time,
    "likes": lambda facts: facts.details.likes,
    "trendingScore": lambda facts: facts.details.trending,
    "tags": lambda facts: _raw(facts.details.tags),
    "cardData": lambda facts: _raw(facts.details.card),
    "card_data": lambda facts: _raw(facts.details.card),  # for releases up to 0.2.1
    "usedStorage": lambda facts: facts.details.used_bytes,
    "siblings": lambda facts: facts.siblings,
    "deduplication": _deduplication,
    "resourceGroup": _absent,
    "xetEnabled": lambda facts: True,
    "gitalyUid": _absent,
    "pipeline_tag": _model(lambda facts: facts.details.pipeline_tag),
    "library_name": _model(lambda facts: facts.details.library_name),
    "config": _model(lambda facts: _raw(facts.details.config)),
    "transformersInfo": _model(_transformers_info),
    "model-index": _model(_card_field("model-index")),
    "widgetData": _model(_card_field("widget")),
    "mask_token": _absent,
    "safetensors": lambda facts: facts.model.safetensors,
    "gguf": lambda facts: facts.model.gguf,
    "inference": _absent,
    "inferenceProviderMapping": _model(lambda facts: []),
    "baseModels": _absent,
    "childrenModelCount": _absent,
    "evalResults": _absent,
    "spaces": _absent,
    "citation": _absent,
    "description": _dataset(lambda facts: ""),
    "paperswithcode_id": _absent,
    "mainSize": _absent,
    "sdk": _space(lambda facts: facts.repo.sdk),
    "subdomain": _space(_subdomain),
    "runtime": _space(_runtime),
    "models": _space(_card_field("models")),
    "datasets": _space(_card_field("datasets")),
    "region": _absent,
    "files": _only(Kind.KERNEL)(_file_names),
    "buildMetadata": _absent,
    "supportedDriverFamilies": _absent,
    "arxivIds": _absent,
}

_INFO = (
    "author sha lastModified createdAt private disabled gated downloads likes tags cardData "
    "usedStorage siblings"
).split()
#: The names of an info answer, in its order.
INFO = {
    Kind.MODEL: [
        *("_id", "id", "modelId", *_INFO),
        *("pipeline_tag", "library_name", "config", "transformersInfo", "model-index"),
        *("safetensors", "gguf"),
    ],
    Kind.DATASET: ["_id", "id", *_INFO, "description", "card_data"],
    Kind.SPACE: ["_id", "id", *_INFO, "sdk", "subdomain", "runtime", "models", "datasets"],
    Kind.KERNEL: ["_id", "id", *_INFO, "files"],
}

_LIST = (
    "_id id author private gated likes trendingScore tags createdAt lastModified sha disabled"
).split()
#: The names of an item in a list, in its order.
LIST = {
    Kind.MODEL: [*_LIST, "downloads", "modelId", "pipeline_tag", "library_name"],
    Kind.DATASET: [*_LIST, "downloads"],
    Kind.SPACE: [*_LIST, "sdk"],
    Kind.KERNEL: [*_LIST, "downloads"],
}
#: The names that ``full`` adds to an item in a list.
FULL = {
    Kind.MODEL: ["siblings"],
    Kind.DATASET: ["siblings", "cardData"],
    Kind.SPACE: ["siblings", "cardData"],
    Kind.KERNEL: ["siblings", "cardData"],
}

#: Names for which an answer has no ``expand``: identifiers, and one spelling of an old release.
_EXPANDABLE = PROPERTIES.keys() - {"_id", "id", "modelId", "card_data"}
_EXPAND = (
    "author cardData createdAt disabled gitalyUid lastModified likes private resourceGroup sha "
    "siblings tags trendingScore usedStorage xetEnabled"
).split()
_EXPAND_COUNTED = [*_EXPAND, "downloads", "downloadsAllTime", "gated"]
#: The names that ``expand`` takes by kind, as error texts list them. ``expand`` accepts every
#: property for every kind.
EXPAND = {
    Kind.MODEL: [
        *_EXPAND_COUNTED,
        *(
            "baseModels childrenModelCount config evalResults gguf inference "
            "inferenceProviderMapping library_name mask_token model-index pipeline_tag "
            "safetensors spaces transformersInfo widgetData"
        ).split(),
    ],
    Kind.DATASET: [*_EXPAND_COUNTED, "citation", "description", "mainSize", "paperswithcode_id"],
    Kind.SPACE: [*_EXPAND, "datasets", "models", "region", "runtime", "sdk", "subdomain"],
    Kind.KERNEL: [
        *_EXPAND_COUNTED,
        *("arxivIds", "buildMetadata", "files", "supportedDriverFamilies"),
    ],
}
