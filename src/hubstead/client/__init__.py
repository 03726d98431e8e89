"""The Python client with the methods of 2021: ``pip install hubstead[client]``."""

from hubstead.client.api import HubApi, NotASession, RepoObj

__all__ = ["HubApi", "NotASession", "RepoObj"]
