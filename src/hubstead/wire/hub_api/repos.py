"""Creates, deletes, moves, configures and duplicates repositories."""

from __future__ import annotations

import base64
import binascii

import msgspec

from hubstead import commits, repos
from hubstead.cards import license_card
from hubstead.db import Conflict
from hubstead.errors import InvalidInput, InvalidName, RepoNotFound
from hubstead.http import Response, json_response
from hubstead.ids import Kind, RepoId
from hubstead.repos import Repo
from hubstead.wire import Request
from hubstead.wire.hub_api import shapes

_VISIBILITIES = {"public": False, "private": True}


async def create_repo(request: Request) -> Response:
    """Create a repository with its first commit."""
    body = await request.json(shapes.CreateRepo)
    new = commits.RepoRequest(
        repo_id=_named(body.type, body.organization, body.name),
        private=wanted_privacy(body.private, body.visibility) or False,
        sdk=body.sdk or body.space_sdk or _legacy_sdk(body),
        lfs_multipart_threshold=body.lfsmultipartthresh,
        files=_files(body),
    )
    repo = await commits.create_repository(request.hub.stores, request.actor, new)
    return json_response(created_repo(request, repo))


def created_repo(request: Request, repo: Repo) -> shapes.CreatedRepo:
    """Describe a new or moved repository."""
    return shapes.CreatedRepo(
        url=f"{request.public_url}/{repo.repo_id.web_path}", name=repo.full_name, id=repo.id
    )


def _named(kind: str | None, organization: str | None, name: str) -> RepoId:
    """Return the id in a body: owner and name in two fields, or ``owner/name`` in ``name``."""
    owner, _, bare = name.rpartition("/")
    if "/" in owner:
        raise InvalidName(name=name, reason="write name, or owner/name")
    return RepoId(_kind(kind), organization or owner, bare)


def _kind(text: str | None) -> Kind:
    return Kind.parse(text) if text else Kind.MODEL


def wanted_privacy(private: bool | None, visibility: str | None) -> bool | None:
    """Return whether a body wants a private repository; None if it says nothing.

    Raises:
        InvalidInput: it says it twice, or names an unknown visibility.
    """
    if visibility is None:
        return private
    if private is not None:
        raise InvalidInput(reason='send "private" or "visibility", not both')
    if visibility not in _VISIBILITIES:
        raise InvalidInput(reason='"visibility" must be one of [public, private]')
    return _VISIBILITIES[visibility]


def _legacy_sdk(body: shapes.CreateRepo) -> str | None:
    """Return the SDK of a space from releases 0.0.11 to 0.0.19, which send none."""
    return "static" if _kind(body.type) is Kind.SPACE else None


def _files(body: shapes.CreateRepo) -> dict[str, bytes]:
    files = {}
    for file in body.files or ():
        try:
            files[file.path] = (
                base64.b64decode(file.content, validate=True)
                if file.encoding == "base64"
                else file.content.encode()
            )
        except (binascii.Error, ValueError):
            raise InvalidInput(reason=f"the content of {file.path} is not base64") from None
    if body.license and "README.md" not in files:
        files["README.md"] = license_card(body.license)
    return files


async def delete_repo(request: Request) -> Response:
    """Delete a repository for good."""
    body = await request.json(shapes.DeleteRepo)
    named = _named(body.type, body.organization or request.actor.name, body.name)
    try:
        await commits.delete_repository(request.hub.stores, request.actor, named)
    except RepoNotFound:
        # The tests of 0.5-0.7 match this text; every later release reads the code.
        raise RepoNotFound(reason=f"No {named.kind} repo found matching {named}") from None
    return json_response({})


async def move_repo(request: Request) -> Response:
    """Rename or transfer a repository; the old name redirects to the new one."""
    body = await request.json(shapes.MoveRepo)
    kind = Kind.parse_any(body.type) if body.type else Kind.MODEL
    source, target = RepoId.parse(kind, body.fromRepo), RepoId.parse(kind, body.toRepo)
    for named in (source, target):
        if not named.owner:
            raise InvalidName(name=str(named), reason="write owner/name")
    moved = await repos.move_repo(request.hub.db, request.actor, source, target)
    return json_response(created_repo(request, moved))


async def update_repo_settings(request: Request) -> Response:
    """Change settings: visibility, gate, and those that are stored only."""
    body = await request.json(shapes.RepoSettings)
    private = wanted_privacy(body.private, body.visibility)
    others = {
        name: value
        for name, value in msgspec.structs.asdict(body).items()
        if name not in ("private", "visibility", "gated") and value is not msgspec.UNSET
    }
    change = repos.SettingsChange(private=private, gated=_gate(body.gated), others=others)
    changed = await repos.change_settings(
        request.hub.db, request.actor, request.repo.repo_id, change
    )
    echo: dict[str, object] = dict(others)
    if private is not None:
        echo["private"] = changed.private
        echo["visibility"] = "private" if changed.private else "public"
    if body.gated is not None:
        echo["gated"] = changed.gated or False
    return json_response(echo)


def _gate(gated: str | bool | None) -> str | None:
    if gated is None:
        return None
    if gated is True or gated == "true":
        return "auto"
    return "" if gated is False or gated == "false" else str(gated)


async def duplicate_repo(request: Request) -> Response:
    """Create a repository with the content and history of this one."""
    body = await request.json(shapes.DuplicateRepo)
    new = commits.RepoRequest(
        repo_id=RepoId.parse(request.repo.kind, body.repository),
        private=wanted_privacy(body.private, body.visibility) or False,
    )
    try:
        repo = await commits.duplicate_repository(
            request.hub.stores, request.actor, request.repo, new
        )
    except Conflict:
        raise RepoNotFound() from None  # the source was deleted meanwhile
    return json_response(created_repo(request, repo))


async def auth_check(request: Request) -> Response:
    """Confirm the right that the route requires; the router has checked it."""
    return json_response({})
