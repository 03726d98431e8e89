"""Facts about a repository, derived from its card, its config.json and the names of its files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from hubstead.cards.front_matter import Card
from hubstead.cards.transformers import class_and_task, first_architecture
from hubstead.cards.vocabulary import SDKS
from hubstead.ids import Kind

MAX_TAGS = 500
_MAX_TAG_CHARS = 200

_ARXIV = re.compile(
    r"arxiv(?:\.org/(?:abs|pdf)/|:\s*)(\d{4}\.\d{4,5})|huggingface\.co/papers/(\d{4}\.\d{4,5})",
    re.IGNORECASE,
)
#: The tag of a file format, and the file names (without folders) that imply it; in the order of
#: the public Hub.
_FORMATS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("pytorch", re.compile(r"(pytorch_model|adapter_model|diffusion_pytorch_model).*\.bin$")),
    ("tf", re.compile(r"tf_model.*\.h5$")),
    ("jax", re.compile(r"flax_model.*\.msgpack$")),
    ("rust", re.compile(r"rust_model\.ot$")),
    ("coreml", re.compile(r".*\.(mlmodel|mlpackage)$")),
    ("onnx", re.compile(r".*\.onnx$")),
    ("openvino", re.compile(r"openvino_.*\.xml$")),
    ("tflite", re.compile(r".*\.tflite$")),
    ("tensorboard", re.compile(r"events\.out\.tfevents\..*")),
    ("safetensors", re.compile(r".*\.safetensors(\.index\.json)?$")),
    ("gguf", re.compile(r".*\.gguf$")),
)
#: Files at the top level that imply a library; the first match wins.
_LIBRARY_FILES = (
    ("modules.json", "sentence-transformers"),
    ("config_sentence_transformers.json", "sentence-transformers"),
    ("model_index.json", "diffusers"),
    ("adapter_config.json", "peft"),
    ("config_setfit.json", "setfit"),
    ("open_clip_config.json", "open_clip"),
    ("open_clip_pytorch_model.bin", "open_clip"),
    ("saved_model.pb", "tf-keras"),
)
_CONFIG_KEYS = (
    "architectures",
    "auto_map",
    "model_type",
    "quantization_config",
    "task_specific_params",
)
_DATASET_KEYS = (
    "benchmark",
    "task_categories",
    "task_ids",
    "annotations_creators",
    "language_creators",
    "multilinguality",
    "source_datasets",
)


class CardFacts(msgspec.Struct, frozen=True):
    """The derived facts; every field can be encoded as JSON."""

    tags: tuple[str, ...] = ()
    pipeline_tag: str | None = None
    library_name: str | None = None
    sdk: str | None = None
    config: dict[str, Any] | None = None  # the value of ``config`` in answers


def derive_facts(
    kind: Kind, card: Card | None, config: dict[str, Any] | None, files: Iterable[str]
) -> CardFacts:
    """Derive the facts about a repository of ``kind``.

    Args:
        kind: The kind of the repository.
        card: The result of ``parse_card``; None without a README.md, or with a broken one.
        config: The result of ``read_config`` for its config.json.
        files: The paths of its files.

    A card or config of a wrong shape never raises; the wrong part is ignored. Tags are in the order
    of the public Hub.
    """
    data = (card.data if card else None) or {}
    body = card.body if card else ""
    if kind is Kind.MODEL or kind is Kind.KERNEL:
        return _model_facts(data, body, config or {}, list(files))
    if kind is Kind.DATASET:
        return CardFacts(tags=_tidy(_dataset_tags(data, body)))
    sdk = data.get("sdk")
    sdk = sdk if isinstance(sdk, str) and sdk in SDKS else None
    return CardFacts(tags=_tidy(_space_tags(data, sdk)), sdk=sdk)


def _model_facts(
    data: dict[str, Any], body: str, config: dict[str, Any], files: list[str]
) -> CardFacts:
    library = _word(data.get("library_name")) or _library(config, files)
    task = _word(data.get("pipeline_tag")) or _task(data, config, library)
    tags = [
        *filter(None, [library]),
        *_formats(files),
        *filter(None, [_word(config.get("model_type")), task]),
        *_model_card_tags(data, body, files),
        "region:us",
    ]
    stored = {key: config[key] for key in _CONFIG_KEYS if config.get(key) is not None}
    return CardFacts(
        tags=_tidy(tags),
        pipeline_tag=task,
        library_name=library,
        config=stored or None,
    )


def _library(config: dict[str, Any], files: list[str]) -> str | None:
    top = {path for path in files if "/" not in path}
    for name, library in _LIBRARY_FILES:
        if name in top:
            return library
    if "pretrained_cfg" in config or "timm_version" in config:
        return "timm"
    if first_architecture(config) or _word(config.get("model_type")):
        return "transformers"
    if any(path.endswith((".nemo",)) for path in top):
        return "nemo"
    if any(path.endswith((".keras",)) for path in top):
        return "keras"
    return None


def _task(data: dict[str, Any], config: dict[str, Any], library: str | None) -> str | None:
    if library == "sentence-transformers":
        return "sentence-similarity"
    if library == "timm":
        return "image-classification" if config.get("num_classes") else "image-feature-extraction"
    if library not in (None, "transformers"):
        return None
    architecture = first_architecture(config)
    return class_and_task(architecture)[1] if architecture else None


def _formats(files: list[str]) -> Iterator[str]:
    names = [path.rpartition("/")[2] for path in files]
    # An .mlpackage is a folder.
    names += [part for path in files if ".mlpackage/" in path for part in path.split("/")[:-1]]
    for tag, pattern in _FORMATS:
        if any(pattern.match(name) for name in names):
            yield tag


def _model_card_tags(data: dict[str, Any], body: str, files: list[str]) -> Iterator[str]:
    yield from _words(data.get("tags"))
    yield from _languages(data)
    yield from (f"dataset:{name}" for name in _words(data.get("datasets")))
    yield from _papers(body)
    yield from _base_models(data, files)
    yield from _licenses(data)
    if isinstance(data.get("model-index"), list) and data["model-index"]:
        yield "model-index"


def _base_models(data: dict[str, Any], files: list[str]) -> Iterator[str]:
    bases = list(_words(data.get("base_model")))
    if not bases:
        return
    relation = _word(data.get("base_model_relation")) or _relation(data, bases, files)
    yield from (f"base_model:{base}" for base in bases)
    yield from (f"base_model:{relation}:{base}" for base in bases)


def _relation(data: dict[str, Any], bases: list[str], files: list[str]) -> str:
    if "adapter_config.json" in files:
        return "adapter"
    if any(path.endswith(".gguf") for path in files):
        return "quantized"
    if len(bases) > 1 or "merge" in _words(data.get("tags")):
        return "merge"
    return "finetune"


def _dataset_tags(data: dict[str, Any], body: str) -> Iterator[str]:
    for key in _DATASET_KEYS:
        yield from (f"{key}:{word}" for word in _words(data.get(key)))
    yield from (f"language:{code}" for code in _languages(data))
    yield from _licenses(data)
    yield from (f"size_categories:{word}" for word in _words(data.get("size_categories")))
    yield from _papers(body)
    yield "region:us"
    yield from _words(data.get("tags"))


def _space_tags(data: dict[str, Any], sdk: str | None) -> Iterator[str]:
    if sdk:
        yield sdk
    yield from _words(data.get("tags"))
    yield from _licenses(data)
    # The public Hub has no such tags; ``?models=``, ``?datasets=`` and ``?linked=`` filter by them.
    yield from (f"model:{name}" for name in _words(data.get("models")))
    yield from (f"dataset:{name}" for name in _words(data.get("datasets")))
    yield "region:us"


def _licenses(data: dict[str, Any]) -> Iterator[str]:
    return (f"license:{name}" for name in _words(data.get("license")))


def _languages(data: dict[str, Any]) -> Iterator[str]:
    value = data.get("language", data.get("languages"))
    for code in value if isinstance(value, list) else [value]:
        yield from _words(code)


def _papers(body: str) -> list[str]:
    numbers = (match[1] or match[2] for match in _ARXIV.finditer(body))
    return [f"arxiv:{number}" for number in dict.fromkeys(numbers)]


def _words(value: Any) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        word = _word(item)
        if word:
            yield word


def _word(value: Any) -> str | None:
    """Return ``value`` if it can be a tag: one short line that every database can store."""
    if not isinstance(value, str):
        return None
    word = value.strip()
    return word if word and len(word) <= _MAX_TAG_CHARS and word.isprintable() else None


def _tidy(tags: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tags))[:MAX_TAGS]
