"""Local applications by which lists of models are filtered, and the tags that each needs.

The public Hub decides by more than tags (protocol/runtimes.md 2); the tags below select the same
models where cards and file names are as usual.
"""

from __future__ import annotations

from hubstead.errors import InvalidInput

_GGUF = ("gguf",)
_CHAT = ("transformers", "text-generation")

#: Tags by application: a model needs all of them.
APPLICATIONS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        "llama.cpp node-llama-cpp ollama lmstudio localai jan atomic-chat backyard jellybox msty "
        "recursechat unsloth docker-model-runner lemonade ramalama koboldcpp".split(),
        _GGUF,
    ),
    **dict.fromkeys(("pi", "hermes-agent", "openclaw"), (*_GGUF, "conversational")),
    **dict.fromkeys(("vllm", "sglang"), _CHAT),
    "tgi": ("text-generation-inference",),
    "mlx-lm": ("mlx", "text-generation"),
    "drawthings": ("diffusers",),
    "diffusionbee": ("diffusers", "text-to-image"),
    "joyfusion": ("coreml", "text-to-image"),
}


def tags_of_application(name: str) -> tuple[str, ...]:
    """Return the tags of the models that an application runs.

    Raises:
        InvalidInput: the application is unknown; the message lists those that are known.
    """
    tags = APPLICATIONS.get(name.strip().lower())
    if tags is None:
        known = ", ".join(sorted(APPLICATIONS))
        raise InvalidInput(reason=f'"apps" must be one of [{known}]: not {name[:80]!r}')
    return tags
