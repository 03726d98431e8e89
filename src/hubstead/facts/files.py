"""The model files of a commit, by their names."""

from __future__ import annotations

import msgspec

from hubstead.formats import is_gguf
from hubstead.gitstore import GitRepo

SAFETENSORS = ".safetensors"


class ModelFile(msgspec.Struct, frozen=True):
    """A file in a model format; its content is in git, or an LFS object."""

    path: str
    oid: str  # of the file object in git
    size: int  # of the content, in bytes
    sha256: str | None = None  # of the LFS object
    pointer_bytes: int = 0


_decoder = msgspec.json.Decoder(list[ModelFile])


def list_model_files(git: GitRepo, commit: str) -> list[ModelFile]:
    """Return the safetensors and GGUF files of a commit in git's order; cached.

    A pointer is only text: whether the repository has the LFS object is the caller's question.
    """
    name = f"model files {commit}"
    files = git.recall(name)
    if files is not None:
        return _decoder.decode(files)
    listed = [
        _describe(git, entry.path, entry.oid)
        for entry in git.walk_files(commit)
        if entry.type == "blob" and (is_gguf(entry.path) or entry.path.endswith(SAFETENSORS))
    ]
    git.remember(name, msgspec.json.encode(listed))
    return listed


def _describe(git: GitRepo, path: str, oid: str) -> ModelFile:
    facts = git.blob_facts(oid)
    if facts.pointer is None:
        return ModelFile(path, oid, facts.size)
    return ModelFile(path, oid, facts.pointer.size, facts.pointer.oid, facts.size)
