"""The routes of the registry view (protocol/runtimes.md 7.1). All that is not here is read-only."""

from __future__ import annotations

from hubstead.repos import Right
from hubstead.wire import Access, Doc, Route
from hubstead.wire.registry.blobs import get_blob, get_signed_blob
from hubstead.wire.registry.manifests import get_manifest, list_tags
from hubstead.wire.registry.service import check_version, refuse_other, refuse_token

_REPO = "/v2/{namespace}/{name}"
_BLOB = Doc(media_type="application/octet-stream")
_SIGNED = Doc(query="sig", media_type="application/octet-stream")
READ = Right.READ

ROUTES: list[Route] = [
    Route("GET", "/v2", check_version, Access.ANYONE, "registry"),
    Route("GET", "/v2/token", refuse_token, Access.OPEN, "registry"),
    Route("GET", f"{_REPO}/manifests/{{ref}}", get_manifest, READ, "registry"),
    Route("GET", f"{_REPO}/tags/list", list_tags, READ, "registry", Doc(query="n last")),
    Route("GET", f"{_REPO}/blobs/{{digest}}", get_blob, READ, "registry", _BLOB),
    # The signature is the only credential: ollama sends no other to this address.
    Route(
        "GET",
        f"{_REPO}/blobs/{{digest}}/signed",
        get_signed_blob,
        Access.OPEN,
        "registry",
        _SIGNED,
    ),
    *[
        Route(method, "/v2/{rest*}", refuse_other, Access.OPEN, "registry", only_reads=True)
        for method in ("POST", "PUT", "PATCH", "DELETE")
    ],
    Route("GET", "/v2/{rest+}", refuse_other, Access.OPEN, "registry"),
]
