"""The GGUF models of a commit, and which of them a tag means (protocol/runtimes.md 7.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from hubstead.admission import Lane, run_in_lane
from hubstead.errors import HubError
from hubstead.facts import GGUF, FactReader, ModelFile, list_model_files
from hubstead.formats import FILE_TYPES, GgufModel, default_model, gguf_models, is_gguf
from hubstead.gitstore import GitRepo
from hubstead.registry.errors import ManifestUnknown, TagRefused
from hubstead.repos import Repo

LATEST = "latest"
#: Models without a label in their names whose headers are read for one.
_MAX_UNLABELLED = 32


@dataclass(frozen=True)
class Catalog:
    """The GGUF files of a commit by path, and the models that they are."""

    commit: str
    files: Mapping[str, ModelFile]
    models: Sequence[GgufModel]

    def tags(self) -> list[str]:
        """Return the tags by which the models are pulled, sorted."""
        names = {model.label or _base(model.stem) for model in self.models}
        return sorted(names | ({LATEST} if names else set()))

    def model(self, tag: str, *, whole: bool, explain: bool) -> GgufModel:
        """Return the model that a tag means.

        Args:
            tag: A label, a file name or path with or without ending, or ``latest``; in any case.
            whole: Refuse a model that is split into several files.
            explain: Refuse with 400 instead of 404: ollama hides the text of a 404.

        Raises:
            ManifestUnknown, TagRefused: the tag means no model, or a split one.
        """
        key = tag.lower()
        model = default_model(self.models) if key == LATEST else self._find(key)
        if model is None:
            self._refuse(tag, explain)
        if whole and model.is_sharded:
            raise TagRefused(
                reason=f'The tag "{tag[:200]}" is split into {len(model.paths)} files, which '
                f"cannot be joined by a pull. {self._single_tags()} "
                "Otherwise: hf download, then llama.cpp."
            )
        return model

    def _find(self, key: str) -> GgufModel | None:
        key = key.removesuffix(".gguf")
        for model in self.models:
            names = {model.stem.lower(), model.paths[0].lower().removesuffix(".gguf")}
            if key in names | {_base(name) for name in names}:
                return model
        labels = [(model.label or "").lower() for model in self.models]
        plain = [label.removeprefix("ud-") for label in labels]
        for known in (labels, plain):
            equal = [model for model, label in zip(self.models, known, strict=True) if label == key]
            if equal:
                return min(equal, key=lambda model: ("/" in model.stem, len(model.stem)))
        return None

    def _refuse(self, tag: str, explain: bool) -> NoReturn:
        reason = f'No GGUF file for the tag "{tag[:200]}". '
        tags = [name for name in self.tags() if name != LATEST]
        reason += f"This repository has: {', '.join(tags[:50])}." if tags else "There is none here."
        raise TagRefused(reason=reason) if explain else ManifestUnknown(reason=reason)

    def _single_tags(self) -> str:
        tags = [model.label or _base(model.stem) for model in self.models if not model.is_sharded]
        return f"Single-file tags: {', '.join(tags[:50])}." if tags else "No other tag is whole."


async def load_catalog(facts: FactReader, repo: Repo, git: GitRepo, commit: str) -> Catalog:
    """Return the GGUF models of a commit; those without a label in their names get the header's."""
    listed = await run_in_lane(Lane.READS, list_model_files, git, commit)
    files = {file.path: file for file in listed if is_gguf(file.path)}
    models = gguf_models(files)
    unlabelled = [model.paths[0] for model in models if model.label is None][:_MAX_UNLABELLED]
    if unlabelled:
        try:
            known = await facts.read(repo.pk, git, GGUF, [files[path] for path in unlabelled])
        except HubError:  # without its header a model is pulled by its name
            known = {}
        labels = {
            path: FILE_TYPES.get(fact.file_type)
            for path, fact in known.items()
            if fact.file_type is not None
        }
        models = [
            replace(model, label=model.label or labels.get(model.paths[0])) for model in models
        ]
    return Catalog(commit, files, models)


def _base(path: str) -> str:
    return path.rpartition("/")[2]
