"""How to reach an S3 server."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class S3Options:
    """Where the server is and who we are.

    Attributes:
        endpoint: ``https://host:port``; empty for Amazon's own.
        region: What signatures are made for.
        access_key: Empty to look where AWS tools look: the environment, ``~/.aws``, the machine.
        secret_key: Goes with the access key.
        session_token: Of a temporary key.
        path_style: Put the bucket into the path instead of before the host name.
        ca_file: PEM file with the certificates to trust; empty: the system's.
        public_endpoint: What clients call the server, for signed addresses; empty: as we do.
        direct: Whether clients may transfer bytes straight from and to the server.
        timeout_s: How long the server may be silent.
    """

    endpoint: str = ""
    region: str = "us-east-1"
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    path_style: bool = True
    ca_file: str = ""
    public_endpoint: str = ""
    direct: bool = True
    timeout_s: float = 30.0

    @property
    def allow_http(self) -> bool:
        """Whether the endpoint is reached without TLS: then that was asked for."""
        return self.endpoint.startswith("http://")
