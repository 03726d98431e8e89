"""The tags of a repository as pills, in the order in which people look for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hubstead.cards import LANGUAGES
from hubstead.repos import RepoDetails

SHOWN = 12
#: Tags of a model's files; they stand behind its library.
_FORMATS = ("safetensors", "gguf", "onnx", "pytorch", "tf", "jax", "tensorboard")
_HIDDEN = ("region:",)
#: By prefix of a tag: its place in the order, its icon and the word before its value.
_PREFIXES = {
    "license:": (4, "", "licence"),
    "dataset:": (5, "dataset", ""),
    "base_model:": (6, "branch", ""),
    "arxiv:": (7, "file", "arXiv"),
    "doi:": (7, "file", "DOI"),
}
_RELATIONS = ("finetune", "adapter", "quantized", "merge")


@dataclass(frozen=True)
class Pill:
    """A pill: its text, the tag that it stands for, the word before, an icon, and its place."""

    text: str
    tag: str = ""  # of the list that it leads to; none if it stands for several
    key: str = ""
    icon: str = ""
    place: int = 9


def pills_of(details: RepoDetails, tags: Sequence[str]) -> list[Pill]:
    """Return the pills of a repository, the most important first."""
    task = details.pipeline_tag
    pills = [Pill(task.replace("-", " "), task, icon="text", place=0)] if task else []
    pills += (
        [Pill(details.library_name, details.library_name, place=1)] if details.library_name else []
    )
    languages = [tag for tag in tags if tag in LANGUAGES]
    if languages:
        tag = languages[0] if len(languages) == 1 else ""
        pills.append(Pill(", ".join(languages[:6]), tag, key="language", place=3))
    named = {details.pipeline_tag, details.library_name, *languages}
    bases = {tag.rpartition(":")[2] for tag in tags if _relation(tag)}
    for tag in tags:
        if tag in named or tag.startswith(_HIDDEN):
            continue
        if not (tag.startswith("base_model:") and not _relation(tag) and tag[11:] in bases):
            pills.append(_pill(tag))
    return sorted(pills, key=lambda pill: pill.place)


def _relation(tag: str) -> str:
    """Return how a tag says that the model comes from another."""
    relation = tag.removeprefix("base_model:").partition(":")[0]
    return relation if tag.startswith("base_model:") and relation in _RELATIONS else ""


def _pill(tag: str) -> Pill:
    for prefix, (place, icon, key) in _PREFIXES.items():
        if tag.startswith(prefix):
            relation = _relation(tag)
            value = tag.rpartition(":")[2] if relation else tag.removeprefix(prefix)
            return Pill(value, tag, key or relation, icon, place)
    return Pill(tag, tag, place=2 if tag in _FORMATS else 9)
