"""What the tests of several rooms use: hubs, clients, services and data.

===============  ====================================================================
``hub``          starts a hub: in a thread, as a process, or forked from one
``http``         sends a request and holds its response
``git``          runs git in a work tree of its own
``lfs``          serves LFS alone, on any store
``xet``          calls the Xet wire; ``xet_files`` builds xorbs, files and shards
``http_server``  serves a small application, to test the HTTP server itself
``services``     runs PostgreSQL and an S3 server
``factories``    adds users, organizations and repositories to a database
===============  ====================================================================

huggingface_hub reads its environment when it is imported, so this package sets that environment
before any module imports the client.
"""

from __future__ import annotations

import os
import tempfile

os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="hubstead-tests-hf-")
os.environ.pop("HF_TOKEN", None)
