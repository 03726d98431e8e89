"""The registry view: GGUF files of a model as tags, manifests and blobs that runtimes pull.

Owns the mapping from files to manifests, and the tables of computed ones. Serves nothing itself
(``wire/registry`` does), decides no rights, and never writes to a repository.
"""

from hubstead.registry.catalog import Catalog, load_catalog
from hubstead.registry.errors import (
    BlobUnknown,
    DigestInvalid,
    ManifestRefused,
    ManifestUnknown,
    RegistryUnsupported,
    TagRefused,
)
from hubstead.registry.jobs import registry_jobs
from hubstead.registry.manifests import Form
from hubstead.registry.stored import StoredManifest, find_computed_blob, find_manifest
from hubstead.registry.view import RegistryView

__all__ = [
    "BlobUnknown",
    "Catalog",
    "DigestInvalid",
    "Form",
    "ManifestRefused",
    "ManifestUnknown",
    "RegistryUnsupported",
    "RegistryView",
    "StoredManifest",
    "TagRefused",
    "find_computed_blob",
    "find_manifest",
    "load_catalog",
    "registry_jobs",
]
