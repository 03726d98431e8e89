"""What the names of GGUF files say: role, quantization, and which files are parts of one model.

The rules of protocol/runtimes.md 7.2, which are those of the runtimes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SUFFIX = ".gguf"
DEFAULT_LABEL = "Q4_K_M"
#: Labels from the largest files to the smallest. ``latest`` chooses along this order.
SIZE_ORDER = tuple(
    """F32 BF16 F16 Q8_K_XL Q8_0 Q6_K_XL Q6_K Q5_K_XL Q5_K_M Q5_K_S Q5_1 Q5_0
    Q4_K_XL Q4_K_M Q4_K_S IQ4_NL IQ4_XS Q4_0 Q4_1 MXFP4_MOE MXFP4 NVFP4
    Q3_K_XL Q3_K_L Q3_K_M Q3_K_S Q2_K_XL Q2_K_L Q2_K Q2_K_S Q2_0
    IQ3_M IQ3_S IQ3_XS IQ3_XXS IQ2_M IQ2_S IQ2_XS IQ2_XXS TQ2_0 TQ1_0 IQ1_M IQ1_S Q1_0""".split()
)
#: ``general.file_type`` by number.
FILE_TYPES = {
    **dict(enumerate("F32 F16 Q4_0 Q4_1".split())),
    **dict(enumerate("Q8_0 Q5_0 Q5_1 Q2_K Q3_K_S Q3_K_M Q3_K_L Q4_K_S Q4_K_M Q5_K_S".split(), 7)),
    **dict(enumerate("Q5_K_M Q6_K IQ2_XXS IQ2_XS Q2_K_S IQ3_XS IQ3_XXS IQ1_S IQ4_NL".split(), 17)),
    **dict(enumerate("IQ3_S IQ3_M IQ2_S IQ2_M IQ4_XS IQ1_M BF16".split(), 26)),
    **dict(enumerate("TQ1_0 TQ2_0 MXFP4_MOE NVFP4 Q1_0 Q2_0".split(), 36)),
}
_PROJECTOR = "mmproj"
_NO_MODEL = ("imatrix", "mtp-", "eagle3-", "dflash-", "dspark-")
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})$")
_TYPES = sorted({*FILE_TYPES.values(), *SIZE_ORDER, "Q3_K", "Q4_K", "Q5_K"}, key=len, reverse=True)
_LABEL = re.compile(rf"(?:UD-)?(?:{'|'.join(_TYPES)})(?:_[A-Z]+)?")


@dataclass(frozen=True)
class GgufModel:
    """One model of a repository: a file, or all shards of one, in their order."""

    paths: tuple[str, ...]
    label: str | None  # such as Q4_K_M or UD-Q4_K_XL; None if the name has none

    @property
    def is_sharded(self) -> bool:
        """Tell whether it is split into several files."""
        return _SHARD.search(_stem(self.paths[0])) is not None

    @property
    def stem(self) -> str:
        """Its path without ending and number of the shard."""
        return _SHARD.sub("", _stem(self.paths[0]))


def is_gguf(path: str) -> bool:
    """Tell by its name whether a file is a GGUF file."""
    return path.endswith(SUFFIX)


def is_projector(path: str) -> bool:
    """Tell by its name whether a GGUF file is the vision or audio part of a model."""
    return _PROJECTOR in _base(path)


def label_of(path: str) -> str | None:
    """Return the quantization that a path names: the last one, in capitals."""
    labels = _LABEL.findall(_SHARD.sub("", _stem(path)).upper())
    return labels[-1] if labels else None


def gguf_models(paths: Iterable[str]) -> list[GgufModel]:
    """Return the models among files, in the order of their first files.

    Projectors and drafts are none, and neither are shards of which one is missing.
    """
    groups: dict[tuple[str, int], dict[int, str]] = {}
    for path in paths:
        if not is_gguf(path) or is_projector(path) or _is_no_model(path):
            continue
        match = _SHARD.search(_stem(path))
        number, count = (int(match[1]), int(match[2])) if match else (1, 1)
        key = (_SHARD.sub("", _stem(path)) if match else path, count)
        groups.setdefault(key, {})[number] = path
    return [
        GgufModel(tuple(path for _number, path in sorted(shards.items())), label_of(shards[1]))
        for (_stem_, count), shards in groups.items()
        if shards.keys() == set(range(1, count + 1))
    ]


def default_model(models: Sequence[GgufModel]) -> GgufModel | None:
    """Return the model that a name without a tag means, None if there is none.

    Q4_K_M if there is one, else the largest below it, else the smallest; single files before
    sharded ones.
    """
    candidates = [model for model in models if not model.is_sharded] or list(models)
    if not candidates:
        return None
    labelled = [model for model in candidates if model.label]
    if not labelled:
        return candidates[0]
    wanted = SIZE_ORDER.index(DEFAULT_LABEL)
    small = [model for model in labelled if _rank(model)[0] >= wanted]
    return min(small, key=_rank) if small else max(labelled, key=_rank)


def _rank(model: GgufModel) -> tuple[int, int]:
    """Return the place of a model in ``SIZE_ORDER``, and the length of its path."""
    label = (model.label or "").removeprefix("UD-")
    while label and label not in SIZE_ORDER:
        label = label.rpartition("_")[0]
    return SIZE_ORDER.index(label) if label else len(SIZE_ORDER), len(model.paths[0])


def projector_of(model: GgufModel, paths: Iterable[str]) -> str | None:
    """Return the projector that belongs to a model: in its folder, or the nearest above it."""
    projectors = [path for path in paths if is_gguf(path) and is_projector(path)]
    folder = model.paths[0].rpartition("/")[0]
    while True:
        beside = [path for path in projectors if path.rpartition("/")[0] == folder]
        if beside:
            order = ("F16", "BF16", "F32", "Q8_0")
            labels = [label_of(path) for path in beside]
            return next((beside[labels.index(name)] for name in order if name in labels), beside[0])
        if not folder:
            return None
        folder = folder.rpartition("/")[0]


def _stem(path: str) -> str:
    return path.removesuffix(SUFFIX)


def _base(path: str) -> str:
    return path.rpartition("/")[2].lower()


def _is_no_model(path: str) -> bool:
    return any(mark in _base(path) for mark in _NO_MODEL)
