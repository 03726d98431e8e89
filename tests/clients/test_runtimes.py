"""Runtimes of models pull from a hub: node-llama-cpp, ramalama, and a client of OCI registries."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.environments import FOLDER, install
from tests.support.hub import ThreadHub
from tests.support.models import commit_models, llama
from tests.support.person import Person

RAMALAMA, ORAS, NODE_LLAMA_CPP = "ramalama==0.25.0", "oras==0.2.43", "node-llama-cpp@3.22.1"
SCENARIOS = Path(__file__).with_name("scenarios")
WHOLE, SMALLER, PROJECTOR = "t-Q8_0.gguf", "t-Q4_K_M.gguf", "mmproj-F16.gguf"
SHARDS = [f"big-Q2_K-0000{n}-of-00002.gguf" for n in (1, 2)]
OCI_SCRIPT = """
import hashlib, json, sys
from oras.client import OrasClient
address = sys.argv[1]
client = OrasClient(hostname=address.partition("/")[0], insecure=True)
manifest = client.get_manifest(address)
container = client.get_container(address)
digests = {}
for part in [*manifest["layers"], manifest["config"]]:
    blob = client.get_blob(container, part["digest"]).content
    digests[part["mediaType"]] = hashlib.sha256(blob).hexdigest()
    assert part["digest"] == "sha256:" + digests[part["mediaType"]]
print(json.dumps(digests))
"""


@dataclass(frozen=True)
class PublishedModels:
    """A public and a private model, and the sha256s of their files."""

    owner: Person
    public: str
    private: str
    sums: Mapping[str, str]

    def run(self, *command: str | Path, home: Path, **env: str) -> subprocess.CompletedProcess[str]:
        url = self.owner.hub.url
        inherited = {"PATH": os.environ["PATH"], "HOME": str(home), "HF_ENDPOINT": url}
        return subprocess.run(
            command,
            env={**inherited, **env},
            cwd=home,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture(scope="module")
def models(embedded_hub: ThreadHub) -> PublishedModels:
    anna = embedded_hub.user("anna")
    names = [WHOLE, SMALLER, PROJECTOR, *SHARDS]
    files = {name: llama(data=secrets.token_bytes(200_000)) for name in names}
    repos = [anna.repo("tiny"), anna.repo("hidden", private=True)]
    for repo in repos:
        commit_models(anna, repo, files)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return PublishedModels(anna, repos[0], repos[1], sums)


def sums_below(folder: Path) -> set[str]:
    """Return the sha256s of the files below a folder."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.mark.parametrize(
    ("tag", "names"),
    [
        (":Q8_0", [WHOLE, PROJECTOR]),
        (":q4_k_m", [SMALLER, PROJECTOR]),
        ("", [SMALLER, PROJECTOR]),
        (":Q2_K", [*SHARDS, PROJECTOR]),
    ],
)
def test_ramalama_pulls_model_and_projector(
    models: PublishedModels, tmp_path: Path, tag: str, names: list[str]
) -> None:
    folder = install(FOLDER / "ramalama", RAMALAMA)
    pull = (folder / "bin" / "ramalama", "--store", str(tmp_path), "pull")
    pulled = models.run(*pull, f"hf://{models.public}{tag}", home=tmp_path)
    assert pulled.returncode == 0, pulled.stdout + pulled.stderr
    assert {models.sums[name] for name in names} <= sums_below(tmp_path)


def test_ramalama_pulls_a_private_model_with_a_token_only(
    models: PublishedModels, tmp_path: Path
) -> None:
    folder = install(FOLDER / "ramalama", RAMALAMA)
    pull = (folder / "bin" / "ramalama", "--store", str(tmp_path), "pull")
    target = f"hf://{models.private}:Q8_0"
    assert models.run(*pull, target, home=tmp_path).returncode != 0
    pulled = models.run(*pull, target, home=tmp_path, HF_TOKEN=models.owner.token)
    assert pulled.returncode == 0, pulled.stdout + pulled.stderr
    assert models.sums[WHOLE] in sums_below(tmp_path)


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not on this machine")
def test_node_llama_cpp_finds_a_quantization(models: PublishedModels, tmp_path: Path) -> None:
    folder = install(FOLDER / "node-llama-cpp", NODE_LLAMA_CPP, for_node=True)
    library = folder / "node_modules" / "node-llama-cpp" / "dist" / "index.js"
    public, private = f"hf:{models.public}", f"hf:{models.private}"
    names = [f"{public}:Q8_0", public, f"{public}:q2_k", f"{public}:Q9_9", f"{private}:Q8_0"]
    script = (shutil.which("node") or "node", str(SCENARIOS / "node_llama_cpp.mjs"))
    folders = {"LIBRARY": library.as_uri(), "FOLDER": str(tmp_path / "models")}
    pulled = models.run(*script, *names, home=tmp_path, HF_TOKEN=models.owner.token, **folders)
    assert pulled.returncode == 0, pulled.stdout + pulled.stderr
    answer = json.loads(pulled.stdout.splitlines()[-1])
    assert "Q9_9" in answer.pop(f"{public}:Q9_9")["error"]
    assert all(isinstance(path, str) for path in answer.values()), answer
    wanted = {models.sums[name] for name in (WHOLE, SMALLER, *SHARDS)}
    assert sums_below(tmp_path / "models") == wanted


def test_a_client_of_oci_registries_pulls_the_form_of_docker(
    models: PublishedModels, tmp_path: Path
) -> None:
    folder = install(FOLDER / "oras", ORAS)
    address = f"{models.owner.hub.url.removeprefix('http://')}/{models.public}:Q8_0"
    python = folder / "bin" / "python"
    pulled = models.run(python, "-c", OCI_SCRIPT, address, home=tmp_path)
    assert pulled.returncode == 0, pulled.stdout + pulled.stderr
    digests = json.loads(pulled.stdout)
    assert digests["application/vnd.docker.ai.gguf.v3"] == models.sums[WHOLE]
    assert digests["application/vnd.docker.ai.mmproj"] == models.sums[PROJECTOR]
