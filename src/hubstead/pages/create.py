"""New repositories and organizations."""

from __future__ import annotations

from hubstead import accounts, commits
from hubstead.cards import LICENSES, SDKS, license_card
from hubstead.errors import Forbidden, HubError, InvalidInput, InvalidName, NameTaken
from hubstead.http import Response
from hubstead.ids import Kind, RepoId
from hubstead.pages.forms import Form, FormError, read_form, see_other
from hubstead.pages.render import page
from hubstead.repos import RepoExists
from hubstead.wire import Request

#: The kind that an address makes.
_KINDS = {"new": Kind.MODEL, "new-dataset": Kind.DATASET, "new-space": Kind.SPACE}
_FIELDS: dict[type[HubError], str] = {
    InvalidName: "name",
    RepoExists: "name",
    Forbidden: "owner",
    InvalidInput: "",
}


def _kind(request: Request) -> Kind:
    return _KINDS[request.path.strip("/")]


async def repo_form(request: Request) -> Response:
    """Show the form of a new repository; the address may fill it in."""
    values = {
        name: value for name in ("owner", "name", "license") if (value := request.query.one(name))
    }
    values["visibility"] = "private" if request.query.one("private") else "public"
    return await _repo_page(request, Form(values))


async def _repo_page(request: Request, form: Form) -> Response:
    orgs = await accounts.list_orgs_of(request.hub.db, request.actor.pk)
    owners = [request.actor.name, *(org.name for org in orgs if org.role != "read")]
    return page(
        request,
        "new.html",
        status=form.status,
        form=form,
        kind=_kind(request),
        address=request.path,
        owners=[(name, name) for name in owners],
        licenses=[("", "None yet"), *((name, name) for name in sorted(LICENSES))],
        sdks=[(name, name) for name in SDKS],
    )


async def create_repo(request: Request) -> Response:
    """Create a repository, and show it."""
    form, kind = await read_form(request), _kind(request)
    license_name = form.text("license")
    try:
        if not form.text("name"):
            raise FormError(field="name", reason="A repository needs a name")
        if license_name and license_name not in LICENSES:
            raise FormError(field="license", reason="Choose one of these")
        new = commits.RepoRequest(
            repo_id=RepoId(kind, form.text("owner"), form.text("name")),
            private=form.text("visibility") == "private",
            sdk=form.text("sdk") or None,
            files={"README.md": license_card(license_name)} if license_name else {},
        )
        repo = await commits.create_repository(request.hub.stores, request.actor, new)
    except HubError as error:
        return await _repo_page(request, form.refused(error, _FIELDS))
    return see_other(request, f"/{repo.repo_id.web_path}")


async def org_form(request: Request) -> Response:
    """Show the form of a new organization."""
    return page(request, "new_org.html", form=Form())


async def create_org(request: Request) -> Response:
    """Create an organization that the caller administers, and show it."""
    form = await read_form(request)
    try:
        allowed = request.hub.settings.accounts.users_create_organizations
        org = await request.hub.db.write(
            accounts.create_org,
            request.actor,
            form.text("name"),
            fullname=form.text("fullname"),
            only_admins=not allowed,
        )
    except HubError as error:
        form.refused(error, {InvalidName: "name", NameTaken: "name"})
        return page(request, "new_org.html", form=form, status=form.status)
    return see_other(request, f"/{org.name}")
