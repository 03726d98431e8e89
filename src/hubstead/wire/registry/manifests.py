"""Manifests by tag and by digest, and the list of tags (protocol/runtimes.md 7.3)."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.types import ASGIApp

from hubstead.errors import RevisionNotFound
from hubstead.http import BytesResponse, Response, json_response
from hubstead.registry import Form, ManifestUnknown, StoredManifest, find_manifest
from hubstead.wire import Request
from hubstead.wire.registry.digests import parse_digest
from hubstead.wire.registry.service import API_VERSION

#: Tags of one page, and the most that a client gets.
PAGE = 1000
_OCI = "application/vnd.oci.image.manifest.v1+json"


async def get_manifest(request: Request) -> ASGIApp:
    """Send the manifest of a model by tag, or one sent before by its digest."""
    reference = request.text("ref")
    digest = parse_digest(reference) if reference.lower().startswith("sha256") else None
    if digest is not None:
        manifest = await _by_digest(request, digest)
    else:
        manifest = await _by_tag(request, reference)
    headers = [
        *API_VERSION.items(),
        ("Docker-Content-Digest", f"sha256:{manifest.digest}"),
        ("Vary", "User-Agent, Accept, Authorization"),
        ("Cache-Control", _caching(request, fixed=digest is not None)),
        ("X-Repo-Commit", manifest.commit_oid),
    ]
    return BytesResponse(
        manifest.body,
        etag=f"sha256:{manifest.digest}",
        headers=headers,
        media_type=manifest.media_type,
    )


async def _by_tag(request: Request, tag: str) -> StoredManifest:
    if request.repo.head is None:
        raise ManifestUnknown(reason="This repository has no files")
    commit = (await request.revision(request.repo.default_branch)).commit
    return await request.hub.registry.manifest(
        request.repo, await request.git(), commit, tag, _form(request), explain=_explains(request)
    )


async def _by_digest(request: Request, digest: str) -> StoredManifest:
    """Return a stored manifest, as long as its commit can be read."""
    manifest = await find_manifest(request.hub.db, request.repo.pk, digest)
    unknown = ManifestUnknown(reason=f"This repository has no manifest sha256:{digest}")
    if manifest is None:
        raise unknown
    try:
        await request.revision(manifest.commit_oid)
    except RevisionNotFound:
        raise unknown from None
    return manifest


def _form(request: Request) -> Form:
    agent = _agent(request)
    if agent.startswith("llama-cpp"):
        return Form.LLAMA_CPP
    if not agent.startswith("ollama/") and _OCI in request.headers.get("accept", ""):
        return Form.DOCKER
    return Form.OLLAMA


def _explains(request: Request) -> bool:
    """Tell whether this client hides the text of a 404 from its user."""
    return _agent(request).startswith(("ollama/", "llama-cpp"))


def _agent(request: Request) -> str:
    return request.headers.get("user-agent", "").lower()


def _caching(request: Request, *, fixed: bool) -> str:
    if request.repo.private or request.repo.gated:
        return "private, no-cache"
    return "public, max-age=3600, immutable" if fixed else "no-cache"


async def list_tags(request: Request) -> Response:
    """List the tags of a model."""
    tags: list[str] = []
    if request.repo.head is not None:
        revision = await request.revision(request.repo.default_branch)
        git = await request.git()
        catalog = await request.hub.registry.catalog(request.repo, git, revision.commit)
        tags = catalog.tags()
    last, count = request.query.one("last"), request.query.number("n", PAGE, least=1, most=PAGE)
    later = [tag for tag in tags if last is None or tag > last]
    headers = dict(API_VERSION)
    if len(later) > count:
        query = urlencode({"n": count, "last": later[count - 1]})
        headers["link"] = f'<{request.origin}{request.path}?{query}>; rel="next"'
    return json_response({"name": request.repo.full_name, "tags": later[:count]}, headers=headers)
