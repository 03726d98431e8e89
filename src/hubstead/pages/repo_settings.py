"""The settings of one repository: its name, its visibility, and its end."""

from __future__ import annotations

from hubstead import commits, repos
from hubstead.errors import Forbidden, HubError, InvalidName
from hubstead.http import Response
from hubstead.ids import RepoId
from hubstead.pages.forms import Form, FormError, read_form, see_other
from hubstead.pages.repo_page import repo_page
from hubstead.repos import RepoExists, SettingsChange
from hubstead.wire import Request


def _shown(request: Request, form: Form | None = None) -> Response:
    repo = request.repo
    values = {"to": repo.full_name, "visibility": "private" if repo.private else "public"}
    form = form or Form(values)
    shown = repo_page(request, "repo_settings.html", tab="settings", form=form)
    shown.status = form.status
    return shown


async def show(request: Request) -> Response:
    """Show the settings of the repository."""
    return _shown(request)


async def rename(request: Request) -> Response:
    """Give the repository another name or owner; the old name redirects."""
    form, repo = await read_form(request), request.repo
    try:
        target = RepoId.parse(repo.kind, form.text("to"))
        moved = await repos.move_repo(request.hub.db, request.actor, repo.repo_id, target)
    except HubError as error:
        fields: dict[type[HubError], str] = {InvalidName: "to", RepoExists: "to", Forbidden: "to"}
        return _shown(request, form.refused(error, fields))
    return see_other(request, f"/{moved.repo_id.web_path}/settings")


async def set_visibility(request: Request) -> Response:
    """Make the repository public or private."""
    form, repo = await read_form(request), request.repo
    try:
        if form.text("visibility") not in ("public", "private"):
            raise FormError(field="visibility", reason="Choose one of these")
        change = SettingsChange(private=form.text("visibility") == "private")
        await repos.change_settings(request.hub.db, request.actor, repo.repo_id, change)
    except HubError as error:
        return _shown(request, form.refused(error))
    return see_other(request, f"/{repo.repo_id.web_path}/settings")


async def delete(request: Request) -> Response:
    """Delete the repository for good, after its full name was typed."""
    form, repo = await read_form(request), request.repo
    try:
        form.require_typed("confirm", repo.full_name)
    except HubError as error:
        return _shown(request, form.refused(error))
    await commits.delete_repository(request.hub.stores, request.actor, repo.repo_id)
    return see_other(request, f"/{repo.owner}")
