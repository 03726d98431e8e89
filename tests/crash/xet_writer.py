"""A process with the real client in it that does what it is told, one line of JSON at a time.

Runs as a program, so that it can be killed as suddenly as a server, and has a machine of its own:
``HF_HOME`` and with it what hf_xet remembers.
"""

from __future__ import annotations

import json
import sys
import tempfile
from typing import Any


def main() -> None:
    from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_download

    for line in sys.stdin:
        told: dict[str, Any] = json.loads(line)
        api = HfApi(endpoint=told["endpoint"], token=told["token"])
        said: dict[str, Any] = {}
        try:
            if "download" in told:
                said["path"] = hf_hub_download(
                    told["repo"],
                    told["download"],
                    endpoint=told["endpoint"],
                    token=told["token"],
                    cache_dir=tempfile.mkdtemp(dir=told["folder"]),
                )
            else:
                operations = [
                    CommitOperationAdd(path_in_repo=path, path_or_fileobj=source)
                    for path, source in told["files"].items()
                ]
                commit = api.create_commit(told["repo"], operations, commit_message="By Xet")
                said["commit"] = commit.oid
        except Exception as error:
            said["error"] = repr(error)[:1000]
        print("SAID " + json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
