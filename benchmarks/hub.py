"""A hub, started as its users start it, with content that arrived over its API."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.processes import Server, free_port
from benchmarks.raw_client import Api, api

HUBSTEAD = Path(sys.executable).with_name("hubstead")
NDJSON = "application/x-ndjson"

README = """\
---
license: apache-2.0
language: [en, de]
library_name: transformers
pipeline_tag: text-classification
tags: [bert, benchmark]
datasets: [glue]
model-index:
  - name: benchmark
    results:
      - task: {type: text-classification}
        dataset: {name: GLUE, type: glue}
        metrics: [{type: accuracy, value: 0.91}]
---
# A model to measure with
"""
CONFIG = {
    "architectures": ["BertForSequenceClassification"],
    "model_type": "bert",
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "vocab_size": 30522,
}


def start_hub(data: Path) -> Server:
    """Start a hub on ``data``, with the settings of a new installation."""
    port = free_port()
    command = [str(HUBSTEAD), "serve", "--data", str(data), "--port", str(port)]
    data.mkdir(parents=True, exist_ok=True)
    server = Server(command, port, data / "hub.log")
    server.wait()
    return server


def admin_token(data: Path) -> str:
    return (data / "first-token").read_text().strip()


def command(data: Path, *words: str) -> Any:
    """Run the command line beside the server; return its JSON output."""
    result = subprocess.run(
        [str(HUBSTEAD), *words, "--data", str(data), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(result.stdout)


def model_files() -> dict[str, bytes]:
    """Return the small files of an ordinary model."""
    names = ("tokenizer_config.json", "special_tokens_map.json", "generation_config.json")
    others = {name: json.dumps({"of": name, "max_length": 512}).encode() for name in names}
    return {
        "README.md": README.encode(),
        "config.json": json.dumps(CONFIG, indent=2).encode(),
        "vocab.txt": "\n".join(f"word{n}" for n in range(300)).encode(),
        **others,
    }


def commit_body(
    files: dict[str, bytes], lfs: dict[str, bytes] | None = None, summary: str = "Files"
) -> bytes:
    """Return the NDJSON of a commit; ``lfs`` files must have been uploaded."""
    lines: list[dict[str, Any]] = [{"key": "header", "value": {"summary": summary}}]
    for path, content in files.items():
        text = base64.b64encode(content).decode()
        value = {"path": path, "encoding": "base64", "content": text}
        lines.append({"key": "file", "value": value})
    for path, content in (lfs or {}).items():
        oid = hashlib.sha256(content).hexdigest()
        pointer: dict[str, object] = {
            "path": path,
            "algo": "sha256",
            "oid": oid,
            "size": len(content),
        }
        lines.append({"key": "lfsFile", "value": pointer})
    return b"\n".join(json.dumps(line).encode() for line in lines) + b"\n"


def make_repo(call: Api, name: str, kind: str = "model", **more: object) -> None:
    owner, _, rest = name.rpartition("/")
    body = {"name": rest, "organization": owner or None, "type": kind, **more}
    call("POST", "/api/repos/create", body)


def upload_action(call: Api, repo: str, oid: str, size: int) -> dict[str, Any]:
    """Request the upload action of an LFS object: {"href": …, "header": …}."""
    body = {
        "operation": "upload",
        "transfers": ["basic"],
        "objects": [{"oid": oid, "size": size}],
        "hash_algo": "sha256",
    }
    response = call("POST", f"/{repo}.git/info/lfs/objects/batch", body)
    action: dict[str, Any] = response["objects"][0]["actions"]["upload"]
    return action


def upload_small(call: Api, port: int, repo: str, content: bytes) -> None:
    """Upload an LFS object from memory."""
    action = upload_action(call, repo, hashlib.sha256(content).hexdigest(), len(content))
    path = "/" + action["href"].split("/", 3)[3]
    api(port)("PUT", path, content, "application/octet-stream")


def commit(call: Api, repo: str, body: bytes, kind: str = "models") -> Any:
    return call("POST", f"/api/{kind}/{repo}/commit/main", body, NDJSON)
