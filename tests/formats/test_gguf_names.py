"""The names of GGUF files contain what runtimes read from them (protocol/runtimes.md 7.2)."""

from __future__ import annotations

import pytest

from hubstead.formats import default_model, gguf_models, label_of, projector_of


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("tiny.Q4_K_M.gguf", "Q4_K_M"),
        ("tiny-q8_0.gguf", "Q8_0"),
        ("UD-Q4_K_XL/big-00001-of-00002.gguf", "UD-Q4_K_XL"),
        ("Q2_K/tiny-IQ4_XS.gguf", "IQ4_XS"),
        ("tiny-bf16.gguf", "BF16"),
        ("tiny-f16.gguf", "F16"),
        ("gpt-oss-MXFP4_MOE.gguf", "MXFP4_MOE"),
        ("gpt-oss-mxfp4.gguf", "MXFP4"),
        ("tiny-Q4_0_L.gguf", "Q4_0_L"),
        ("tiny.gguf", None),
    ],
)
def test_the_last_quantization_of_a_path_is_its_label(path: str, label: str | None) -> None:
    assert label_of(path) == label


def test_shards_are_one_model_and_only_if_none_is_missing() -> None:
    whole = [f"big-Q8_0-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    models = gguf_models([whole[2], "a-00001-of-00002.gguf", whole[0], whole[1], "x.gguf"])
    assert [model.paths for model in models] == [tuple(whole), ("x.gguf",)]
    assert [model.is_sharded for model in models] == [True, False]
    assert models[0].stem == "big-Q8_0"


def test_projectors_and_drafts_are_no_models() -> None:
    names = [
        "mmproj-F16.gguf",
        "t.imatrix.gguf",
        "mtp-t.gguf",
        "sub/eagle3-t.gguf",
        "t.safetensors",
    ]
    assert gguf_models(names) == []


@pytest.mark.parametrize(
    ("labels", "chosen"),
    [
        ("Q8_0 Q4_K_M Q2_K", "Q4_K_M"),
        ("Q8_0 Q4_K_XL Q4_K_S Q2_K", "Q4_K_S"),
        ("Q8_0 IQ3_M Q2_K", "Q2_K"),
        ("F32 Q8_0 F16", "Q8_0"),
        ("UD-Q4_K_XL UD-Q3_K_XL", "UD-Q3_K_XL"),
        ("Q4_K_M-00001-of-00001 Q8_0", "Q8_0"),
    ],
)
def test_a_name_without_a_tag_means_q4_k_m_or_the_next_smaller(labels: str, chosen: str) -> None:
    models = gguf_models(f"t-{label}.gguf" for label in labels.split())
    model = default_model(models)
    assert model is not None
    assert model.label == chosen


def test_without_labels_the_first_file_is_chosen_and_without_files_none() -> None:
    assert default_model(gguf_models(["b.gguf", "a.gguf"])) == gguf_models(["b.gguf"])[0]
    assert default_model([]) is None


def test_a_projector_is_beside_its_model_or_above() -> None:
    (model,) = gguf_models(["a/b/t-Q8_0.gguf"])
    assert projector_of(model, ["mmproj.gguf", "c/mmproj.gguf"]) == "mmproj.gguf"
    beside = ["mmproj.gguf", "a/mmproj-BF16.gguf", "a/mmproj-x.gguf", "a/mmproj-f16.gguf"]
    assert projector_of(model, beside) == "a/mmproj-f16.gguf"
    assert projector_of(model, ["c/mmproj.gguf"]) is None
