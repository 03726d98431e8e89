"""A real model is uploaded, downloaded byte for byte, and loaded from the hub."""

from __future__ import annotations

import filecmp
import sys
from pathlib import Path

from tests.world.machine import Machine, heavy_python, the_model

_UP_AND_DOWN = """
import sys
from huggingface_hub import HfApi, snapshot_download

api, name, source, target = HfApi(), *sys.argv[1:]
api.create_repo(name, exist_ok=True)
api.upload_folder(repo_id=name, folder_path=source)
api.upload_folder(repo_id=name, folder_path=source)
assert len(api.list_repo_commits(name)) == 2, "the same again is no commit"
snapshot_download(name, local_dir=target, max_workers=4)
info = api.model_info(name, files_metadata=True)
print(info.pipeline_tag, info.library_name, sorted(info.tags))
"""

_TOKENIZE = """
import sys
from transformers import AutoConfig, AutoTokenizer

name, local = sys.argv[1:]
here, there = AutoTokenizer.from_pretrained(local), AutoTokenizer.from_pretrained(name)
text = "Hubstead stores models, data sets and spaces."
assert there(text) == here(text)
assert there.decode(there(text)["input_ids"], skip_special_tokens=True).startswith("hubstead")
print(AutoConfig.from_pretrained(name).model_type, len(there))
"""


def test_a_real_model_is_uploaded_and_downloaded_byte_for_byte(
    machine: Machine, tmp_path: Path
) -> None:
    source, target = the_model(), tmp_path / "down"
    output = machine.run(sys.executable, "-c", _UP_AND_DOWN, "admin/minilm", source, target)
    files = sorted(str(path.relative_to(source)) for path in source.rglob("*") if path.is_file())
    assert "model.safetensors" in files
    same, different, missing = filecmp.cmpfiles(source, target, files, shallow=False)
    assert (sorted(same), different, missing) == (files, [], [])
    assert output.stdout.startswith("sentence-similarity sentence-transformers ")
    tree = machine.node.call("GET", "/api/models/admin/minilm/tree/main").json
    (weights,) = [entry for entry in tree if entry["path"] == "model.safetensors"]
    assert weights["lfs"]["size"] == (source / "model.safetensors").stat().st_size


def test_its_tokenizer_loads_from_the_hub(machine: Machine) -> None:
    python, source = heavy_python(), the_model()
    machine.hf("repos", "create", "tokens")
    machine.hf("upload", "admin/tokens", source, ".", "--exclude", "*.safetensors")
    output = machine.run(python, "-c", _TOKENIZE, "admin/tokens", source)
    assert output.stdout.split() == ["bert", "30522"]
