"""Model files, small and real: safetensors and GGUF with given headers."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import CommitOperationAdd

from tests.support.person import Person

U32, U64 = struct.Struct("<I"), struct.Struct("<Q")
#: Numbers of the types of GGUF values.
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
#: Attributes that make model files LFS files.
BY_LFS = (
    b"*.gguf filter=lfs diff=lfs merge=lfs -text\n*.safetensors filter=lfs diff=lfs merge=lfs\n"
)
CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{% endfor %}"


def safetensors(
    tensors: Mapping[str, tuple[str, Sequence[int]]], metadata: Mapping[str, str] | None = None
) -> bytes:
    """Return a safetensors file of zeros; a tensor is its type and its dimensions."""
    sizes = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "U8": 1, "BOOL": 1}
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata is not None else {}
    at = 0
    for name, (dtype, shape) in tensors.items():
        count = 1
        for side in shape:
            count *= side
        end = at + count * sizes[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return U64.pack(len(text)) + text + bytes(at)


def gguf_string(text: str) -> bytes:
    """Encode a string for GGUF."""
    encoded = text.encode()
    return U64.pack(len(encoded)) + encoded


def gguf_value(value: object) -> bytes:
    """Encode a value of the metadata behind the number of its type."""
    if isinstance(value, bool):
        return U32.pack(BOOL) + bytes([value])
    if isinstance(value, int):
        return U32.pack(UINT32) + U32.pack(value) if value >= 0 else struct.pack("<Ii", 5, value)
    if isinstance(value, float):
        return U32.pack(FLOAT32) + struct.pack("<f", value)
    if isinstance(value, str):
        return U32.pack(STRING) + gguf_string(value)
    assert isinstance(value, list)
    typed = [gguf_value(item) for item in value]
    head = typed[0][:4] if typed else U32.pack(STRING)
    return U32.pack(ARRAY) + head + U64.pack(len(typed)) + b"".join(item[4:] for item in typed)


def gguf(
    metadata: Mapping[str, object] | None = None,
    tensors: Mapping[str, Sequence[int]] | None = None,
    *,
    version: int = 3,
    data: bytes = b"",
) -> bytes:
    """Return a GGUF file: its header, then ``data`` as the content of its tensors."""
    metadata, tensors = metadata or {}, tensors or {}
    parts = [b"GGUF", U32.pack(version), U64.pack(len(tensors)), U64.pack(len(metadata))]
    parts += [gguf_string(key) + gguf_value(value) for key, value in metadata.items()]
    for name, shape in tensors.items():
        sides = b"".join(U64.pack(side) for side in shape)
        parts.append(gguf_string(name) + U32.pack(len(shape)) + sides + U32.pack(0) + U64.pack(0))
    return b"".join(parts) + data


def llama(file_type: int = 15, *, data: bytes = b"weights", **metadata: object) -> bytes:
    """Return a small model of the architecture llama; 15 is the type Q4_K_M."""
    values: dict[str, object] = {
        "general.architecture": "llama",
        "general.file_type": file_type,
        "llama.context_length": 4096,
        "tokenizer.ggml.tokens": ["<s>", "</s>", "a"],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.chat_template": CHATML,
    }
    values |= {key.replace("__", "."): value for key, value in metadata.items()}
    return gguf(values, {"token_embd.weight": (64, 300), "output.weight": (64, 120)}, data=data)


def commit_models(
    person: Person, repo: str, files: Mapping[str, bytes], *, attributes: bytes = BY_LFS
) -> str:
    """Commit files to a repository whose ``.gitattributes`` are these; return the commit."""
    first = CommitOperationAdd(".gitattributes", attributes)
    person.api.create_commit(repo, [first], commit_message="attributes")
    operations = [CommitOperationAdd(path, content) for path, content in files.items()]
    return str(person.api.create_commit(repo, operations, commit_message="files").oid)
