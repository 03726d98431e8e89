"""Prompt templates for ollama by families of chat templates (protocol/runtimes.md 7.3).

A repository's own file ``template`` goes before these. For all other families ollama uses the
template inside the GGUF file.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """A family of chat templates: what it is known by, and what ollama needs for it."""

    marks: tuple[str, ...]  # all occur in its chat templates
    template: str  # in the language of Go's text/template
    stops: tuple[str, ...]


_CHATML = Family(
    ("<|im_start|>",),
    "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}"
    "<|im_start|>assistant\n",
    ("<|im_start|>", "<|im_end|>"),
)
_LLAMA_3 = Family(
    ("<|start_header_id|>", "<|eot_id|>"),
    "{{- range .Messages }}<|start_header_id|>{{ .Role }}<|end_header_id|>\n\n"
    "{{ .Content }}<|eot_id|>{{ end }}<|start_header_id|>assistant<|end_header_id|>\n\n",
    ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
)
_GEMMA = Family(
    ("<start_of_turn>",),
    '{{- range .Messages }}<start_of_turn>{{ if eq .Role "assistant" }}model{{ else }}user'
    "{{ end }}\n{{ .Content }}<end_of_turn>\n{{ end }}<start_of_turn>model\n",
    ("<start_of_turn>", "<end_of_turn>"),
)
_FAMILIES = (_CHATML, _LLAMA_3, _GEMMA)


def family_of(chat_template: str | None) -> Family | None:
    """Return the family of a chat template, None for all others."""
    if chat_template is None:
        return None
    for family in _FAMILIES:
        if all(mark in chat_template for mark in family.marks):
            return family
    return None
