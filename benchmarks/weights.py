"""Test files: incompressible bytes, and a model with realistic weights."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_BLOCK = 1 << 24
_WIDTH = 1024


def write_random(path: Path, size: int) -> None:
    """Write bytes without any repetition."""
    with path.open("wb") as file:
        for start in range(0, size, _BLOCK):
            file.write(os.urandom(min(_BLOCK, size - start)))


def write_model(path: Path, size: int) -> None:
    """Write a safetensors file of about ``size`` bytes.

    Seven parts in ten are weights in bfloat16, the rest in float32 (the states of optimizers, or an
    embedding); all normally distributed, at the scales of a trained transformer.
    """
    shapes = list(_tensors(size))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, kind, rows in shapes:
        length = rows * _WIDTH * (2 if kind == "BF16" else 4)
        offsets = [at, at + length]
        header[name] = {"dtype": kind, "shape": [rows, _WIDTH], "data_offsets": offsets}
        at += length
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    numbers = np.random.default_rng()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for position, (_, kind, rows) in enumerate(shapes):
            file.write(_weights(numbers, kind, rows * _WIDTH, 0.01 + 0.002 * (position % 7)))


def fine_tune(model: Path, path: Path, share: float) -> None:
    """Write a copy with ``share`` of the bytes, beyond the middle, trained further."""
    content = bytearray(model.read_bytes())
    start, count = len(content) * 6 // 10 // 8 * 8, int(len(content) * share) // 4
    numbers = np.random.default_rng()
    content[start : start + 4 * count] = _weights(numbers, "F32", count, 0.02)
    path.write_bytes(content)


def _tensors(size: int) -> Iterator[tuple[str, str, int]]:
    layer = 4096  # rows
    for number in range(max(1, size * 7 // 10 // (layer * _WIDTH * 2))):
        yield f"model.layers.{number}.mlp.weight", "BF16", layer
    for number in range(max(1, size * 3 // 10 // (layer * _WIDTH * 4))):
        yield f"model.heads.{number}.weight", "F32", layer


def _weights(numbers: np.random.Generator, kind: str, count: int, scale: float) -> bytes:
    weights = numbers.standard_normal(count, dtype=np.float32) * np.float32(scale)
    if kind == "F32":
        return weights.tobytes()
    return (weights.view(np.uint32) >> 16).astype(np.uint16).tobytes()
