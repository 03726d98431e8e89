"""The tags in use, by type, for the filters of old clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from sqlalchemy import bindparam, func, select

from hubstead.cards import LANGUAGES, TASKS
from hubstead.db import Reader, scan
from hubstead.ids import Kind
from hubstead.repos import PUBLIC
from hubstead.repos.tables import repo_tags, repos

MAX_TAGS = 20_000

#: Types that are listed even when empty: Python 0.4.0–0.11.1 raise KeyError otherwise.
_TYPES = {
    Kind.MODEL: ("pipeline_tag", "library", "dataset", "language", "license", "other"),
    Kind.DATASET: (
        "task_categories",
        "task_ids",
        "language",
        "languages",
        "license",
        "licenses",
        "multilinguality",
        "language_creators",
        "size_categories",
        "benchmark",
        "other",
    ),
}
#: Types that Python 0.4.0–0.10.1 read under an older name.
_OLDER_TYPES = {Kind.DATASET: {"language": "languages", "license": "licenses"}}
_PREFIXES = {
    Kind.MODEL: frozenset({"dataset", "license"}),
    Kind.DATASET: frozenset(_TYPES[Kind.DATASET]) - {"other"},
}
_NAMES = {
    "transformers": "Transformers", "pytorch": "PyTorch", "tf": "TensorFlow", "jax": "JAX",
    "onnx": "ONNX", "gguf": "GGUF", "safetensors": "Safetensors", "peft": "PEFT",
    "diffusers": "Diffusers", "sentence-transformers": "sentence-transformers", "timm": "timm",
    "keras": "Keras", "rust": "Rust", "coreml": "Core ML", "openvino": "OpenVINO",
    "tensorboard": "TensorBoard", "tflite": "TF Lite", "spacy": "spaCy", "nemo": "NeMo",
}  # fmt: skip
_FORMATS = frozenset(
    "pytorch tf jax rust coreml onnx openvino tflite tensorboard safetensors gguf".split()
)


class _Used(NamedTuple):
    tag: str
    n: int


_IN_USE = scan(
    select(repo_tags.c.tag, func.count().label("n"))
    .join_from(repo_tags, repos, repo_tags.c.repo_pk == repos.c.pk)
    .where(repo_tags.c.kind == bindparam("kind"), PUBLIC)
    .group_by(repo_tags.c.tag)
    .order_by(func.count().desc(), repo_tags.c.tag)
    .limit(MAX_TAGS),
    _Used,
)


_LIBRARIES = scan(
    select(repos.c.library_name.label("word"))
    .where(repos.c.kind == bindparam("kind"), PUBLIC, repos.c.library_name.is_not(None))
    .distinct(),
    str,
)


class Tag(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tag, as ``/api/models-tags-by-type`` lists it."""

    id: str  # the value for ``filter``
    label: str
    type: str


async def tags_by_type(db: Reader, kind: Kind) -> dict[str, list[Tag]]:
    """Return the tags of public repositories by type, most used first.

    Reads every tag of the kind (some 0.5 s for 70,000 repositories), so callers cache the result.
    """
    libraries = _FORMATS | set(await db.all(_LIBRARIES, kind=kind.value))
    tags: dict[str, list[Tag]] = {name: [] for name in _TYPES.get(kind, ("other",))}
    for row in await db.all(_IN_USE, kind=kind.value):
        for tag in _typed(kind, row.tag, libraries):
            tags.setdefault(tag.type, []).append(tag)
    return tags


def _typed(kind: Kind, tag: str, libraries: frozenset[str]) -> Iterator[Tag]:
    prefix, colon, rest = tag.partition(":")
    if colon and prefix in _PREFIXES.get(kind, ()):
        yield Tag(tag, rest, prefix)
        older = _OLDER_TYPES.get(kind, {}).get(prefix)
        if older:
            yield Tag(f"{older}:{rest}", rest, older)
    elif prefix in ("arxiv", "base_model", "region") and colon:
        return
    elif kind is Kind.MODEL and tag in TASKS:
        yield Tag(tag, tag.replace("-", " ").title(), "pipeline_tag")
    elif kind is Kind.MODEL and tag in libraries:
        yield Tag(tag, _NAMES.get(tag, tag), "library")
    elif kind is Kind.MODEL and tag in LANGUAGES:
        yield Tag(tag, tag, "language")
    else:
        yield Tag(tag, tag, "other")
