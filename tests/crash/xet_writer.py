"""A process with the real client; it executes requests, one line of JSON at a time.

It runs as a program, so that it can be killed like a server, and has its own cache of hf_xet in
``HF_HOME``.
"""

from __future__ import annotations

import json
import sys
import tempfile
from typing import Any


def main() -> None:
    from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_download

    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        api = HfApi(endpoint=request["endpoint"], token=request["token"])
        result: dict[str, Any] = {}
        try:
            if "download" in request:
                result["path"] = hf_hub_download(
                    request["repo"],
                    request["download"],
                    endpoint=request["endpoint"],
                    token=request["token"],
                    cache_dir=tempfile.mkdtemp(dir=request["folder"]),
                )
            else:
                operations = [
                    CommitOperationAdd(path_in_repo=path, path_or_fileobj=source)
                    for path, source in request["files"].items()
                ]
                commit = api.create_commit(request["repo"], operations, commit_message="By Xet")
                result["commit"] = commit.oid
        except Exception as error:
            result["error"] = repr(error)[:1000]
        print("RESULT" + json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
