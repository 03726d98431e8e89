"""The routes of the pages."""

from __future__ import annotations

from hubstead.pages import assets, files, front, history, lists, refs, repository, sessions
from hubstead.repos import Right
from hubstead.wire import Access, Doc, Route

_REPO = "/{prefix}/{repo}"
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
            ("settings/{rest*}", repository.unbuilt, Right.VIEW),
        )
    ],
]
