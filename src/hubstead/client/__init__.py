"""The Python client with the methods of 2021: ``pip install hubstead[client]``.

Owns ``HubApi``, a subclass of ``huggingface_hub.HfApi``.
Never imports the server, and never writes to the machine's token file.
"""

from hubstead.client.api import HubApi, NotASession, RepoObj

__all__ = ["HubApi", "NotASession", "RepoObj"]
