"""The facts of a model repository at a commit, as repository info shows them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from hubstead.facts.files import SAFETENSORS as SUFFIX
from hubstead.facts.files import ModelFile
from hubstead.facts.reader import GGUF, SAFETENSORS, FactReader, GgufFacts, SafetensorsFacts
from hubstead.formats import default_model, gguf_models
from hubstead.gitstore import GitRepo

WHOLE = "model.safetensors"
#: Files of one model whose headers are read.
MAX_FILES = 1000

_SHARD = re.compile(r"model-\d{5}-of-(\d{5})\.safetensors")


class ModelFacts(msgspec.Struct, frozen=True):
    """The fields ``safetensors`` and ``gguf`` (protocol/hub-api.md 3.3); None if unknown."""

    safetensors: dict[str, Any] | None = None
    gguf: dict[str, Any] | None = None


NO_FACTS = ModelFacts()


async def model_facts(
    reader: FactReader, repo_pk: int, git: GitRepo, files: Sequence[ModelFile], *, read: bool = True
) -> ModelFacts:
    """Return the facts of the models among ``files``, the model files of a commit.

    Args:
        reader: Reads and stores facts of files.
        repo_pk: The repository.
        git: Its objects.
        files: The model files of the commit.
        read: Whether headers that nobody has read yet are read now.

    Raises:
        BlobNotFound, Unavailable: the bytes of a file cannot be read now.
    """
    weights, parts = _safetensors_files(files), _gguf_files(files)
    if read:
        counts = await reader.read(repo_pk, git, SAFETENSORS, weights)
        headers = await reader.read(repo_pk, git, GGUF, parts)
    else:
        counts = await reader.stored(repo_pk, SAFETENSORS, weights)
        headers = await reader.stored(repo_pk, GGUF, parts)
    return ModelFacts(
        _safetensors_json(list(counts.values())) if len(counts) == len(weights) else None,
        _gguf_json(list(headers.values())) if len(headers) == len(parts) else None,
    )


def _safetensors_files(files: Sequence[ModelFile]) -> list[ModelFile]:
    """Return the files of the model: the whole one, all shards, or the only one in the root."""
    root = {file.path: file for file in files if "/" not in file.path}
    if WHOLE in root:
        return [root[WHOLE]]
    shards = {path: match for path in root if (match := _SHARD.fullmatch(path))}
    counts = {int(match[1]) for match in shards.values()}
    if counts == {len(shards)} and len(shards) <= MAX_FILES:
        return [root[path] for path in shards]
    others = [file for path, file in root.items() if path.endswith(SUFFIX)]
    return others if len(others) == 1 else []


def _gguf_files(files: Sequence[ModelFile]) -> list[ModelFile]:
    """Return the file, or the shards, of the model that runtimes choose without a tag."""
    by_path = {file.path: file for file in files}
    model = default_model(gguf_models(by_path))
    if model is None or len(model.paths) > MAX_FILES:
        return []
    return [by_path[path] for path in model.paths]


def _safetensors_json(facts: Sequence[SafetensorsFacts]) -> dict[str, Any] | None:
    parameters: dict[str, int] = {}
    for file in facts:
        for dtype, count in file.parameters.items():
            parameters[dtype] = parameters.get(dtype, 0) + count
    return {"parameters": parameters, "total": sum(parameters.values())} if parameters else None


def _gguf_json(facts: Sequence[GgufFacts]) -> dict[str, Any] | None:
    """Return the facts of the first shard, which has the metadata, with the sum of all."""
    if not facts:
        return None
    fields: dict[str, Any] = msgspec.to_builtins(facts[0])
    fields.pop("file_type", None)
    return {**fields, "total": sum(file.total for file in facts)}
