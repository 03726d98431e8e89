"""Formats: readers of the headers of model files, which are untrusted.

Owns the layout and the limits of each format. Reads bytes that the caller passes; never opens a
file, a repository or a row.
"""

from hubstead.formats.gguf import GgufArray, GgufHeader, parse_gguf
from hubstead.formats.gguf_names import (
    DEFAULT_LABEL,
    FILE_TYPES,
    GgufModel,
    default_model,
    gguf_models,
    is_gguf,
    is_projector,
    label_of,
    projector_of,
)
from hubstead.formats.header import (
    HeaderBytes,
    HeaderSource,
    IncompleteHeader,
    UnreadableHeader,
    read_header,
)
from hubstead.formats.safetensors import SafetensorsHeader, parse_safetensors

__all__ = [
    "DEFAULT_LABEL",
    "FILE_TYPES",
    "GgufArray",
    "GgufHeader",
    "GgufModel",
    "HeaderBytes",
    "HeaderSource",
    "IncompleteHeader",
    "SafetensorsHeader",
    "UnreadableHeader",
    "default_model",
    "gguf_models",
    "is_gguf",
    "is_projector",
    "label_of",
    "parse_gguf",
    "parse_safetensors",
    "projector_of",
    "read_header",
]
