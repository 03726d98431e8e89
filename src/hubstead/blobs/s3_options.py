"""Options of the connection to an S3 server."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class S3Options:
    """The address of an S3 server, the credentials and limits.

    Attributes:
        endpoint: ``https://host:port``; empty for Amazon's own.
        region: The region that signatures name.
        access_key: Empty to look where AWS tools look: the environment, ``~/.aws``, the machine.
        secret_key: Goes with the access key.
        session_token: Of a temporary key.
        path_style: Put the bucket into the path instead of before the host name.
        ca_file: PEM file with the certificates to trust; empty: the system's.
        public_endpoint: The endpoint of signed URLs for clients; empty: ``endpoint``.
        direct: Whether clients may transfer bytes directly from and to the server.
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
        """Whether the endpoint is without TLS, by the scheme that the operator chose."""
        return self.endpoint.startswith("http://")
