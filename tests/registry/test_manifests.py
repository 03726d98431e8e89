"""Manifests of equal files are equal bytes, on every node."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from hubstead.facts import GgufFacts, ModelFile
from hubstead.registry.manifests import Form, ModelFiles, build_manifest, shortened
from hubstead.registry.templates import family_of

MODEL = "7a9c3141eddf87b9ac2d5d9274f1672a51685a22041045a7bdae7a9fa49e3c28"
PROJECTOR = "b414244c5896f3d767e72f9c020c6ec003353dd62fc17d0cf37bf022da8cfd60"
CHATML = "{{ '<|im_start|>' + role }}<|im_end|>"


def files(**changes: Any) -> ModelFiles:
    """Return a model with a projector, like those that clients were tested with."""
    values: dict[str, Any] = {
        "model": ModelFile("t-Q4_K_M.gguf", "0" * 40, 115680, MODEL, 131),
        "sha256": MODEL,
        "label": "Q4_K_M",
        "facts": GgufFacts(26880, "llama", 2048, 15, CHATML),
        "created": "2026-01-02T03:04:05Z",
        "projector": (ModelFile("mmproj-F16.gguf", "1" * 40, 115456, PROJECTOR, 130), PROJECTOR),
    }
    return ModelFiles(**{**values, **changes})


def layers(manifest: bytes) -> list[tuple[str, int]]:
    listed = json.loads(manifest)["layers"]
    return [(layer["mediaType"].rpartition(".")[2], layer["size"]) for layer in listed]


def test_the_manifest_for_ollama_equals_this_one_byte_for_byte() -> None:
    manifest = build_manifest(files(), Form.OLLAMA)
    assert len(manifest.body) == 856
    digest = "a9602f5075a3130c9cfddce7cd500cf0da4c8e53c4097539416a190e3b4f3034"
    assert hashlib.sha256(manifest.body).hexdigest() == digest
    assert sorted(len(blob) for blob in manifest.blobs.values()) == [38, 102, 156]
    for digest, content in manifest.blobs.items():
        assert hashlib.sha256(content).hexdigest() == digest
        assert f"sha256:{digest}".encode() in manifest.body


def test_llama_cpp_gets_the_names_of_the_files() -> None:
    manifest = build_manifest(files(), Form.LLAMA_CPP)
    fields = json.loads(manifest.body)
    assert fields["ggufFile"] == {
        "rfilename": "t-Q4_K_M.gguf",
        "blobId": f"sha256:{MODEL}",
        "size": 115680,
        "lfs": {"sha256": MODEL, "size": 115680, "pointerSize": 131},
    }
    assert fields["mmprojFile"]["rfilename"] == "mmproj-F16.gguf"
    alone = json.loads(build_manifest(files(projector=None, facts=None), Form.LLAMA_CPP).body)
    assert "mmprojFile" not in alone
    assert alone["ggufFile"] == fields["ggufFile"]


def test_files_of_the_repository_win_over_those_of_the_family() -> None:
    own = files(
        template=b"{{ .Prompt }}", system=b"Be kind", params=b'{"num_ctx":9}', license=b"MIT"
    )
    manifest = build_manifest(own, Form.OLLAMA)
    assert layers(manifest.body)[2:] == [
        ("template", 13),
        ("system", 7),
        ("params", 13),
        ("license", 3),
    ]
    unknown = build_manifest(files(facts=GgufFacts(1, "x", chat_template="{}")), Form.OLLAMA)
    assert [name for name, _size in layers(unknown.body)] == ["model", "projector"]


def test_a_model_without_a_readable_header_has_a_manifest_by_its_label() -> None:
    manifest = build_manifest(files(facts=None, projector=None), Form.OLLAMA)
    config = json.loads(next(iter(manifest.blobs.values())))
    assert config["model_family"] == config["model_type"] == "unknown"
    assert config["file_type"] == "Q4_K_M"


def test_docker_gets_its_own_media_types() -> None:
    manifest = build_manifest(files(license=b"MIT"), Form.DOCKER)
    fields = json.loads(manifest.body)
    assert (
        fields["mediaType"] == manifest.media_type == "application/vnd.oci.image.manifest.v1+json"
    )
    assert [layer["mediaType"] for layer in fields["layers"]] == [
        "application/vnd.docker.ai.gguf.v3",
        "application/vnd.docker.ai.mmproj",
        "application/vnd.docker.ai.license",
    ]
    config = json.loads(manifest.blobs[fields["config"]["digest"].partition(":")[2]])
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in fields["layers"]]
    assert config["descriptor"] == {"created": "2026-01-02T03:04:05Z"}


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (950, "950"),
        (26880, "27K"),
        (494_032_768, "494.03M"),
        (125_000_000, "125M"),
        (8_030_261_312, "8.0B"),
        (7_000_000_000, "7B"),
        (1_235_814_432, "1.2B"),
    ],
)
def test_numbers_of_parameters_are_short(count: int, text: str) -> None:
    assert shortened(count) == text


@pytest.mark.parametrize(
    ("template", "stop"),
    [
        (CHATML, "<|im_end|>"),
        ("<|start_header_id|>user<|end_header_id|>x<|eot_id|>", "<|eot_id|>"),
        ("<start_of_turn>user\nx<end_of_turn>", "<end_of_turn>"),
    ],
)
def test_the_family_of_a_chat_template_has_stops_that_its_template_writes(
    template: str, stop: str
) -> None:
    family = family_of(template)
    assert family is not None
    assert stop in family.stops
    assert all(word in family.template for word in family.stops)
    assert family.template.count("{{- range") == 1
    assert family.template.count("{{") == family.template.count("}}")


def test_other_chat_templates_belong_to_no_family() -> None:
    assert family_of("[INST] x [/INST]") is None
    assert family_of("<|start_header_id|> alone") is None
    assert family_of(None) is None
