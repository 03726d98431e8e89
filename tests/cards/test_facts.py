"""The facts of a repository follow from its card, its configuration and its files."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubstead.cards import Card, CardFacts, derive_facts, parse_card, transformers_info
from hubstead.ids import Kind


def of(
    front_matter: str = "",
    *files: str,
    kind: Kind = Kind.MODEL,
    config: dict[str, Any] | None = None,
    body: str = "",
) -> CardFacts:
    return derive_facts(kind, parse_card(f"---\n{front_matter}\n---\n{body}"), config, files)


def test_the_tags_of_a_model_are_in_the_order_of_the_hub() -> None:
    facts = of(
        "tags: [exbert, en]\nlanguage: [en, no]\nlicense: apache-2.0\ndatasets: [bookcorpus]\n"
        "base_model: acme/base\nmodel-index: [{}]",
        "README.md", "pytorch_model.bin", "tf_model.h5", "model.safetensors", "config.json",
        config={"architectures": ["BertForMaskedLM"], "model_type": "bert", "hidden": 3},
        body="See https://arxiv.org/abs/1810.04805 and arXiv:1810.04805, arxiv: 2301.12345.",
    )  # fmt: skip
    assert facts.tags == (
        "transformers", "pytorch", "tf", "safetensors", "bert", "fill-mask", "exbert", "en", "no",
        "dataset:bookcorpus", "arxiv:1810.04805", "arxiv:2301.12345", "base_model:acme/base",
        "base_model:finetune:acme/base", "license:apache-2.0", "model-index", "region:us",
    )  # fmt: skip
    assert (facts.library_name, facts.pipeline_tag) == ("transformers", "fill-mask")
    assert facts.config == {"architectures": ["BertForMaskedLM"], "model_type": "bert"}
    assert transformers_info(facts.config, facts.pipeline_tag) == {
        "auto_model": "AutoModelForMaskedLM",
        "pipeline_tag": "fill-mask",
        "processor": "AutoTokenizer",
    }


def test_the_tags_of_a_dataset_have_their_type() -> None:
    facts = of(
        "task_categories: [question-answering]\nlanguage: en\nlicense: mit\n"
        "size_categories: n<1K\ntags: [code]",
        "README.md",
        kind=Kind.DATASET,
    )
    assert facts == CardFacts(
        tags=("task_categories:question-answering", "language:en", "license:mit",
              "size_categories:n<1K", "region:us", "code")
    )  # fmt: skip


def test_a_space_has_its_sdk_and_its_links() -> None:
    facts = of("sdk: gradio\nmodels: [a/b]\ndatasets: c/d", kind=Kind.SPACE)
    assert facts == CardFacts(
        tags=("gradio", "model:a/b", "dataset:c/d", "region:us"), sdk="gradio"
    )
    assert of("sdk: flask", kind=Kind.SPACE).sdk is None


def test_the_card_wins_over_the_configuration() -> None:
    config = {"architectures": ["LlamaForCausalLM"]}
    facts = of("pipeline_tag: translation\nlibrary_name: mine", config=config)
    assert (facts.pipeline_tag, facts.library_name) == ("translation", "mine")


@pytest.mark.parametrize(
    ("files", "config", "library"),
    [
        (["modules.json", "config.json"], {"model_type": "bert"}, "sentence-transformers"),
        (["model_index.json"], None, "diffusers"),
        (["adapter_config.json"], None, "peft"),
        (["config.json"], {"pretrained_cfg": {}, "architecture": "resnet18"}, "timm"),
        (["config.json"], {"model_type": "x"}, "transformers"),
        (["config.json"], {"x": 1}, None),
        (["sub/model_index.json"], None, None),
        ([], None, None),
    ],
)
def test_files_imply_the_library(files: list[str], config: Any, library: str | None) -> None:
    assert of("", *files, config=config).library_name == library


@pytest.mark.parametrize(
    ("architecture", "task"),
    [
        ("GPT2LMHeadModel", "text-generation"),
        ("LlamaForCausalLM", "text-generation"),
        ("BertForSequenceClassification", "text-classification"),
        ("BertForTokenClassification", "token-classification"),
        ("BertForQuestionAnswering", "question-answering"),
        ("LayoutLMForDocumentQuestionAnswering", "document-question-answering"),
        ("T5ForConditionalGeneration", "text2text-generation"),
        ("WhisperForConditionalGeneration", "automatic-speech-recognition"),
        ("LlavaForConditionalGeneration", "image-text-to-text"),
        ("ViTForImageClassification", "image-classification"),
        ("BertModel", "feature-extraction"),
        ("ViTModel", "image-feature-extraction"),
        ("CLIPModel", "zero-shot-image-classification"),
        ("Mystery", None),
    ],
)
def test_an_architecture_implies_the_task(architecture: str, task: str | None) -> None:
    config = {"architectures": [architecture]}
    assert of("", config=config).pipeline_tag == task
    info = transformers_info(config, task)
    assert info is not None
    # Any other key is a TypeError in the Python client.
    assert info.keys() <= {"auto_model", "custom_class", "pipeline_tag", "processor"}
    assert "auto_model" in info


@pytest.mark.parametrize(
    ("path", "tag"),
    [
        ("model-00001-of-00002.safetensors", "safetensors"),
        ("unet/diffusion_pytorch_model.bin", "pytorch"),
        ("flax_model.msgpack", "jax"),
        ("onnx/model.onnx", "onnx"),
        ("q4.gguf", "gguf"),
        ("a.mlpackage/Data/weights", "coreml"),
        ("runs/x/events.out.tfevents.1", "tensorboard"),
    ],
)
def test_files_imply_the_format(path: str, tag: str) -> None:
    assert tag in of("", path).tags
    assert tag not in of("", path.replace(".", "-")).tags


@pytest.mark.parametrize(
    ("front_matter", "files", "relation"),
    [
        ("", [], "finetune"),
        ("", ["adapter_config.json"], "adapter"),
        ("", ["q4.gguf"], "quantized"),
        ("tags: [merge]", [], "merge"),
        ("base_model_relation: quantized", [], "quantized"),
    ],
)
def test_the_relation_to_a_base_model_is_declared_or_inferred(
    front_matter: str, files: list[str], relation: str
) -> None:
    facts = of(f"base_model: a/b\n{front_matter}", *files)
    assert f"base_model:{relation}:a/b" in facts.tags


def test_an_invalid_tag_is_left_out() -> None:
    facts = of('tags: ["a\\nb", "a\\0b", "", "  ", "ok", 1, [x], "' + "x" * 300 + '"]')
    assert facts.tags == ("ok", "region:us")
    assert len(of(f"tags: [{','.join(f't{n}' for n in range(5000))}]").tags) == 500


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_KEYS = st.sampled_from(
    """license language tags datasets base_model base_model_relation pipeline_tag library_name
    model-index sdk models task_categories architectures model_type auto_map pretrained_cfg
    num_classes quantization_config bos_token""".split()
)


@given(
    st.sampled_from(Kind), st.dictionaries(_KEYS, _ANYTHING), st.dictionaries(_KEYS, _ANYTHING),
    st.lists(st.text(), max_size=4),
)  # fmt: skip
def test_any_card_with_any_configuration_has_facts(
    kind: Kind, card: dict[str, Any], config: dict[str, Any], files: list[str]
) -> None:
    facts = derive_facts(kind, Card(card, ""), config, files)
    assert all(tag.isprintable() for tag in facts.tags)
    assert len(set(facts.tags)) == len(facts.tags)
    msgspec.json.encode(facts.tags)
