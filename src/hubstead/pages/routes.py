"""The routes of the pages."""

from __future__ import annotations

from hubstead.pages import (
    assets,
    create,
    files,
    front,
    history,
    lists,
    refs,
    repo_settings,
    repository,
    sessions,
    settings,
)
from hubstead.repos import Right
from hubstead.wire import Access, Doc, Route

_REPO = "/{prefix}/{repo}"
_USER = Access.SIGNED_IN
_HTML = Doc(media_type="text/html")
_LIST = Doc(query="search author filter sort cursor", media_type="text/html")

ROUTES = [
    Route("GET", "/", front.home, Access.ANYONE, "pages", _HTML),
    Route("GET", "/static/{file}", assets.static, Access.OPEN, "pages"),
    Route("GET", "/favicon.ico", assets.favicon, Access.OPEN, "pages"),
    Route("GET", "/robots.txt", assets.robots, Access.OPEN, "pages"),
    Route("GET", "/login", sessions.login_form, Access.ANYONE, "pages", _HTML),
    Route("POST", "/login", sessions.login, Access.ANYONE, "pages", _HTML, signs_in=True),
    Route("GET", "/login/setup", sessions.setup_form, Access.ANYONE, "pages", _HTML),
    Route("POST", "/login/setup", sessions.setup, Access.ANYONE, "pages", _HTML, signs_in=True),
    Route("POST", "/logout", sessions.logout, Access.ANYONE, "pages", _HTML),
    Route("GET", "/models", lists.models, Access.ANYONE, "pages", _LIST),
    Route("GET", "/datasets", lists.datasets, Access.ANYONE, "pages", _LIST),
    Route("GET", "/spaces", lists.spaces, Access.ANYONE, "pages", _LIST),
    Route("GET", "/organizations", front.organizations, Access.ANYONE, "pages", _HTML),
    *[
        Route(method, f"/settings{path}", handler, _USER, "pages", _HTML)
        for method, path, handler in (
            ("GET", "", settings.index),
            ("GET", "/profile", settings.profile),
            ("POST", "/profile", settings.save_profile),
            ("GET", "/account", settings.account),
            ("POST", "/account", settings.change_password),
            ("GET", "/authentication", settings.sessions),
            ("POST", "/authentication", settings.end_sessions),
            ("GET", "/tokens", settings.tokens),
            ("GET", "/tokens/new", settings.token_form),
            ("POST", "/tokens/new", settings.add_token),
            ("POST", "/tokens/revoke", settings.revoke_token),
        )
    ],
    Route("GET", "/settings/appearance", settings.appearance, Access.ANYONE, "pages", _HTML),
    Route("POST", "/settings/appearance", settings.set_appearance, Access.ANYONE, "pages", _HTML),
    *[
        Route(method, path, handler, _USER, "pages", _HTML)
        for path in ("/new", "/new-dataset", "/new-space")
        for method, handler in (("GET", create.repo_form), ("POST", create.create_repo))
    ],
    Route("GET", "/organizations/new", create.org_form, _USER, "pages", _HTML),
    Route("POST", "/organizations/new", create.create_org, _USER, "pages", _HTML),
    # The page of an account, or of a legacy model without a namespace.
    Route("GET", "/{account}", front.account, Access.ANYONE, "pages", _HTML),
    Route("GET", "/{prefix}/{namespace}/{name}", repository.home, Right.VIEW, "pages", _HTML),
    *[
        Route("GET", f"{_REPO}/{path}", view, right, "pages", _HTML)
        for path, view, right in (
            ("tree/{rest*}", files.tree, Right.VIEW),
            ("blob/{rest+}", files.blob, Right.READ),
            ("blame/{rest+}", files.blame, Right.READ),
            ("branches", refs.branches, Right.VIEW),
            ("tags", refs.tags, Right.VIEW),
            ("commits/{rest*}", history.commits, Right.VIEW),
            ("commit/{sha}", history.commit, Right.VIEW),
            ("compare/{rest+}", history.compare, Right.VIEW),
            ("discussions/{rest*}", repository.unbuilt, Right.VIEW),
            ("settings", repo_settings.show, Right.ADMIN),
        )
    ],
    *[
        Route("POST", f"{_REPO}/settings/{path}", handler, Right.ADMIN, "pages", _HTML)
        for path, handler in (
            ("rename", repo_settings.rename),
            ("visibility", repo_settings.set_visibility),
            ("delete", repo_settings.delete),
        )
    ],
]
