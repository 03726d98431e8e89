"""Infers the task of a model, and the classes that load it, from its architecture's name."""

from __future__ import annotations

import re
from typing import Any

#: Ending of an architecture's name, the automatic class that loads it, and its task
#: (``transformers`` ``models/auto/modeling_auto.py``; tasks as in its ``pipelines``).
_BY_ENDING: tuple[tuple[str, str, str | None], ...] = (
    ("ForCausalLM", "AutoModelForCausalLM", "text-generation"),
    ("LMHeadModel", "AutoModelForCausalLM", "text-generation"),
    ("ForMaskedLM", "AutoModelForMaskedLM", "fill-mask"),
    ("ForSequenceClassification", "AutoModelForSequenceClassification", "text-classification"),
    ("ForTokenClassification", "AutoModelForTokenClassification", "token-classification"),
    ("ForTableQuestionAnswering", "AutoModelForTableQuestionAnswering", "table-question-answering"),
    (
        "ForDocumentQuestionAnswering",
        "AutoModelForDocumentQuestionAnswering",
        "document-question-answering",
    ),
    (
        "ForVisualQuestionAnswering",
        "AutoModelForVisualQuestionAnswering",
        "visual-question-answering",
    ),
    ("ForQuestionAnswering", "AutoModelForQuestionAnswering", "question-answering"),
    ("ForMultipleChoice", "AutoModelForMultipleChoice", "multiple-choice"),
    ("ForSpeechSeq2Seq", "AutoModelForSpeechSeq2Seq", "automatic-speech-recognition"),
    ("ForCTC", "AutoModelForCTC", "automatic-speech-recognition"),
    ("ForAudioClassification", "AutoModelForAudioClassification", "audio-classification"),
    ("ForVideoClassification", "AutoModelForVideoClassification", "video-classification"),
    ("ForImageClassification", "AutoModelForImageClassification", "image-classification"),
    ("ForObjectDetection", "AutoModelForObjectDetection", "object-detection"),
    ("ForSemanticSegmentation", "AutoModelForSemanticSegmentation", "image-segmentation"),
    ("ForUniversalSegmentation", "AutoModelForUniversalSegmentation", "image-segmentation"),
    ("ForInstanceSegmentation", "AutoModelForInstanceSegmentation", "image-segmentation"),
    ("ForImageSegmentation", "AutoModelForImageSegmentation", "image-segmentation"),
    ("ForMaskGeneration", "AutoModelForMaskGeneration", "mask-generation"),
    ("ForDepthEstimation", "AutoModelForDepthEstimation", "depth-estimation"),
    ("ForTextToWaveform", "AutoModelForTextToWaveform", "text-to-audio"),
    ("ForTextToSpeech", "AutoModelForTextToSpectrogram", "text-to-speech"),
)
_SPEECH = re.compile(r"^(Whisper|Speech|SeamlessM4T|Moonshine)")
_IMAGE_TEXT = re.compile(
    r"(Llava|Qwen\d*_?\d*VL|Qwen2_5_VL|Idefics|PaliGemma|Gemma3|Mllama|InternVL|Mistral3|"
    r"Florence|Kosmos|InstructBlip|SmolVLM|Pixtral|Llama4|Glm4v|Fuyu|Aria)"
)
_TEXT_TO_TEXT = re.compile(r"^(T5|MT5|UMT5|LongT5|Bart|MBart|M2M100|Pegasus|Marian|Blenderbot|LED)")
_VISION = re.compile(r"^(ViT|Dinov?\d?|DeiT|Swin|ConvNext|Beit|ResNet|Siglip|CLIPVision)", re.I)

_PROCESSORS = {
    "image-text-to-text": "AutoProcessor",
    "automatic-speech-recognition": "AutoProcessor",
    "document-question-answering": "AutoProcessor",
    "visual-question-answering": "AutoProcessor",
    "zero-shot-image-classification": "AutoProcessor",
    "text-to-audio": "AutoProcessor",
    "text-to-speech": "AutoProcessor",
    "audio-classification": "AutoFeatureExtractor",
    "mask-generation": "AutoProcessor",
    "image-classification": "AutoImageProcessor",
    "image-feature-extraction": "AutoImageProcessor",
    "image-segmentation": "AutoImageProcessor",
    "object-detection": "AutoImageProcessor",
    "depth-estimation": "AutoImageProcessor",
    "video-classification": "AutoImageProcessor",
}


def class_and_task(architecture: str) -> tuple[str, str | None]:
    """Return the automatic class for an architecture, and its task as far as the name tells."""
    for ending, auto_class, task in _BY_ENDING:
        if architecture.endswith(ending):
            return auto_class, task
    if architecture.endswith("ForConditionalGeneration"):
        return _conditional(architecture)
    if architecture.endswith("EncoderDecoderModel"):
        return "AutoModel", None
    if re.match(r"(CLIP|Siglip2?|AltCLIP|ChineseCLIP)Model$", architecture):
        return "AutoModelForZeroShotImageClassification", "zero-shot-image-classification"
    if architecture.endswith("Model"):
        vision = _VISION.match(architecture)
        return "AutoModel", "image-feature-extraction" if vision else "feature-extraction"
    return "AutoModel", None


def _conditional(architecture: str) -> tuple[str, str | None]:
    if _SPEECH.match(architecture):
        return "AutoModelForSpeechSeq2Seq", "automatic-speech-recognition"
    if architecture.startswith("Blip"):
        return "AutoModelForImageTextToText", "image-to-text"
    if _IMAGE_TEXT.search(architecture):
        return "AutoModelForImageTextToText", "image-text-to-text"
    task = "text2text-generation" if _TEXT_TO_TEXT.match(architecture) else None
    return "AutoModelForSeq2SeqLM", task


def transformers_info(config: dict[str, Any], task: str | None) -> dict[str, str] | None:
    """Return the value of ``transformersInfo``: keys of ``TransformersInfo`` and no others.

    An additional key is a TypeError in ``huggingface_hub`` (``hf_api.py``).
    """
    architecture = first_architecture(config)
    if architecture is None:
        return None
    auto_model, own_task = class_and_task(architecture)
    info = {"auto_model": auto_model}
    custom = _custom_class(config, auto_model)
    if custom:
        info["custom_class"] = custom
    if task or own_task:
        info["pipeline_tag"] = task or own_task or ""
    info["processor"] = _PROCESSORS.get(task or own_task or "", "AutoTokenizer")
    return info


def first_architecture(config: dict[str, Any]) -> str | None:
    """Return the first of ``architectures`` of a config.json."""
    names = config.get("architectures")
    if isinstance(names, list) and names and isinstance(names[0], str):
        return names[0][:200]
    return None


def _custom_class(config: dict[str, Any], auto_model: str) -> str | None:
    classes = config.get("auto_map")
    name = classes.get(auto_model) if isinstance(classes, dict) else None
    return name if isinstance(name, str) else None
