"""Why the registry view does not answer with a manifest or a blob."""

from __future__ import annotations

from hubstead.errors import HubError, InvalidInput, NotFound


class ManifestUnknown(NotFound):
    """{reason}"""


class TagRefused(InvalidInput):
    """{reason}"""


class ManifestRefused(InvalidInput):
    """{reason}"""


class BlobUnknown(HubError):
    """This repository has no blob {digest} in its present GGUF files."""

    digest: str


class DigestInvalid(HubError):
    """A digest is sha256: and 64 hex digits, not {digest!r}."""

    digest: str


class RegistryUnsupported(HubError):
    """The registry view of this hub is read-only: it has manifests, blobs and lists of tags."""
