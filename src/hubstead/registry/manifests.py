"""Manifests of a model file: bytes that depend on the commit, the file and the form alone.

The forms are those of protocol/runtimes.md 7.3 and protocol/runtimes.md 7.6.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import msgspec

from hubstead.facts import GgufFacts, ModelFile
from hubstead.formats import FILE_TYPES
from hubstead.registry.templates import family_of

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_IMAGE_CONFIG = "application/vnd.docker.container.image.v1+json"
_MODEL_CONFIG = "application/vnd.docker.ai.model.config.v0.1+json"
_OLLAMA = "application/vnd.ollama.image."
_DOCKER = "application/vnd.docker.ai."
UNKNOWN = "unknown"


class Form(Enum):
    """Who pulls: the same model has another manifest for each."""

    OLLAMA = "ollama"
    LLAMA_CPP = "llama-cpp"  # as for ollama, with the names of the files
    DOCKER = "docker"  # Docker's model runner


@dataclass(frozen=True)
class ModelFiles:
    """A model file with all that a manifest says of it."""

    model: ModelFile
    sha256: str
    label: str | None
    facts: GgufFacts | None  # None: its header cannot be read
    created: str  # the date of the commit, ISO 8601
    projector: tuple[ModelFile, str] | None = None  # the file and its sha256
    template: bytes | None = None
    system: bytes | None = None
    params: bytes | None = None
    license: bytes | None = None


@dataclass(frozen=True)
class Manifest:
    """A manifest, and the blobs in it that are computed, by their sha256."""

    media_type: str
    body: bytes
    blobs: dict[str, bytes] = field(default_factory=dict)


def build_manifest(files: ModelFiles, form: Form) -> Manifest:
    """Return the manifest of a model file."""
    return _docker_manifest(files) if form is Form.DOCKER else _ollama_manifest(files, form)


def _ollama_manifest(files: ModelFiles, form: Form) -> Manifest:
    blobs: dict[str, bytes] = {}
    layers = [_layer(f"{_OLLAMA}model", files.sha256, files.model.size)]
    if files.projector is not None:
        file, sha256 = files.projector
        layers.append(_layer(f"{_OLLAMA}projector", sha256, file.size))
    for name, content in _texts(files):
        layers.append(_computed(blobs, f"{_OLLAMA}{name}", content))
    config = _computed(blobs, _IMAGE_CONFIG, _json(_ollama_config(files)))
    fields: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": config,
        "layers": layers,
    }
    if form is Form.LLAMA_CPP:
        fields["ggufFile"] = _named_file(files.model, files.sha256)
        if files.projector is not None:
            fields["mmprojFile"] = _named_file(*files.projector)
    return Manifest(DOCKER_MANIFEST, _json(fields), blobs)


def _texts(files: ModelFiles) -> Sequence[tuple[str, bytes]]:
    """Return the layers that are texts: the repository's own files, else what the family needs."""
    family = family_of(files.facts.chat_template) if files.facts else None
    template, params = files.template, files.params
    if template is None and family is not None:
        template = family.template.encode()
    if params is None and family is not None and files.template is None:
        params = _json({"stop": list(family.stops)})
    texts = (
        ("template", template),
        ("system", files.system),
        ("params", params),
        ("license", files.license),
    )
    return [(name, content) for name, content in texts if content is not None]


def _ollama_config(files: ModelFiles) -> dict[str, Any]:
    architecture = _architecture(files)
    families = [architecture, *(["clip"] if files.projector is not None else [])]
    return {
        "model_format": "gguf",
        "model_family": architecture,
        "model_families": families,
        "model_type": _parameters(files),
        "file_type": _quantization(files),
        "architecture": "amd64",
        "os": "linux",
    }


def _docker_manifest(files: ModelFiles) -> Manifest:
    blobs: dict[str, bytes] = {}
    layers = [_layer(f"{_DOCKER}gguf.v3", files.sha256, files.model.size)]
    if files.projector is not None:
        file, sha256 = files.projector
        layers.append(_layer(f"{_DOCKER}mmproj", sha256, file.size))
    if files.license is not None:
        layers.append(_computed(blobs, f"{_DOCKER}license", files.license))
    config = {
        "config": {
            "format": "gguf",
            "quantization": _quantization(files),
            "parameters": _parameters(files),
            "architecture": _architecture(files),
            "size": f"{files.model.size / 1e6:.2f}MB",
        },
        "descriptor": {"created": files.created},
        "rootfs": {"type": "rootfs", "diff_ids": [layer["digest"] for layer in layers]},
    }
    fields = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _computed(blobs, _MODEL_CONFIG, _json(config)),
        "layers": layers,
    }
    return Manifest(OCI_MANIFEST, _json(fields), blobs)


def _architecture(files: ModelFiles) -> str:
    return (files.facts.architecture if files.facts else None) or UNKNOWN


def _quantization(files: ModelFiles) -> str:
    number = files.facts.file_type if files.facts else None
    return FILE_TYPES.get(-1 if number is None else number) or files.label or UNKNOWN


def _parameters(files: ModelFiles) -> str:
    return shortened(files.facts.total) if files.facts else UNKNOWN


def shortened(count: int) -> str:
    """Return a number of parameters as ollama writes it: ``27K``, ``1.24M``, ``8B``, ``8.0B``."""
    for unit, letter, digits in ((10**9, "B", 1), (10**6, "M", 2), (10**3, "K", 0)):
        if count >= unit:
            return f"{count / unit:.{0 if count % unit == 0 else digits}f}{letter}"
    return str(count)


def _named_file(file: ModelFile, sha256: str) -> dict[str, Any]:
    lfs = {"sha256": sha256, "size": file.size, "pointerSize": file.pointer_bytes}
    return {"rfilename": file.path, "blobId": f"sha256:{sha256}", "size": file.size, "lfs": lfs}


def _layer(media_type: str, sha256: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{sha256}", "size": size}


def _computed(blobs: dict[str, bytes], media_type: str, content: bytes) -> dict[str, Any]:
    sha256 = hashlib.sha256(content).hexdigest()
    blobs[sha256] = content
    return _layer(media_type, sha256, len(content))


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)
