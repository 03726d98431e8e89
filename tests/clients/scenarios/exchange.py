"""One transfer, for tests where several clients or hubs meet; argv names it.

``up REPO NAME PATH``, ``down REPO NAME PATH``: the file at PATH to or from the hub, with Xet.
"""

import os
import shutil
import sys
import tempfile

from huggingface_hub import HfApi, hf_hub_download

TOKEN = os.environ["ANNA_TOKEN"]
action, repo_id, name, path = sys.argv[1:]
if action == "up":
    api = HfApi(token=TOKEN)
    api.create_repo(repo_id, exist_ok=True)
    api.upload_file(path_or_fileobj=path, path_in_repo=name, repo_id=repo_id)
else:
    cached = hf_hub_download(repo_id, name, cache_dir=tempfile.mkdtemp(), token=TOKEN)
    shutil.copyfile(cached, path)
