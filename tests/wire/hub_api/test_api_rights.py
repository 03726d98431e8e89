"""Rights of every route with a repository in its address, for every standing."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd
from tests.support.http import Response
from tests.support.hub import ThreadHub
from tests.support.person import Person
from tests.support.route_cases import addresses, naming_bodies

from hubstead.app import routes
from hubstead.ids import Kind
from hubstead.repos import Right
from hubstead.wire import Access, Route

ROUTES = {route.name: route for route in routes() if isinstance(route.access, Right)}
OTHERS = {route.name: route for route in routes() if not isinstance(route.access, Right)}
PASSWORD = "correct horse battery"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
#: The rights of these depend on the query; this is the right without one.
NEEDED = {
    "GET /api/{kinds}/{repo}/xet-write-token/{rev*}": Right.WRITE,
    "POST /api/{kinds}/{repo}/preupload/{rev+}": Right.WRITE,
    "POST /api/{kinds}/{repo}/commit/{rev+}": Right.WRITE,
}
#: The address of this one has nothing below the repository that could be absent.
DELETES_ITSELF = "DELETE /api/{buckets}/{namespace}/{name}"
#: Names of one length, so that responses about them can be compared byte by byte.
PUBLIC, PRIVATE, GATED, ABSENT = "bert-open", "bert-hush", "bert-gate", "bert-none"
#: The rights of each user to the repositories of ``acme.org``.
STANDINGS: dict[str, Right | None] = {
    "anonymous": None,
    "stranger": None,
    "read": Right.READ,
    "contributor": Right.READ,
    "write": Right.WRITE,
    "admin": Right.ADMIN,
    "owner": Right.ADMIN,
    "owner with a read token": Right.READ,
}


@dataclass
class RightsOrg:
    """An organization with a model and a space of each visibility, and users of every standing."""

    hub: ThreadHub
    owner: Person
    org: str
    tokens: dict[str, str] = field(default_factory=dict)
    outsiders: dict[str, dict[str, str]] = field(default_factory=dict)  # headers by caller

    def call(self, route: Route, name: str, token: str, method: str = "") -> Response:
        target = address(route, f"{self.org}/{name}")
        method = method or route.method
        body = None if method in ("GET", "HEAD", "OPTIONS") else b"{}"
        response = self.hub.call(method, target, body, token=token)
        if route.name == DELETES_ITSELF and response.status == 200:
            wanted = {"private": name == PRIVATE}
            assert self.owner.call("POST", target, wanted).status == 200
        return response


def address(route: Route, repo_id: str) -> str:
    """Fill a pattern in; revisions, branches and paths do not exist, so nothing is changed."""
    path = route.pattern.replace("{repo}", repo_id).replace("{namespace}/{name}", repo_id)
    path = path.replace("{prefix}/", "").replace("{spaces}", "spaces")
    path = path.replace("{buckets}", "buckets")
    path = path.replace("{kinds}", "models").replace("{any_kind}", "model")
    path = re.sub(r"\{\w+[+*]?\}", "none", path)
    # Without it, the address is a protocol of git that no hub serves.
    return f"{path}?service=git-upload-pack" if path.endswith("/info/refs") else path


@pytest.fixture(scope="module")
def acme(live_hub: ThreadHub) -> RightsOrg:
    people = {role: live_hub.user(role) for role in ("read", "contributor", "write", "admin")}
    owner = live_hub.user("owner")
    acme = RightsOrg(live_hub, owner, live_hub.org(owner, people))
    acme.tokens = {role: person.token for role, person in people.items()} | {
        "anonymous": "",
        "stranger": live_hub.user("stranger").token,
        "owner": owner.token,
        "owner with a read token": owner.with_token("read").token,
    }
    acme.outsiders = outsiders(live_hub)
    for name in (PUBLIC, PRIVATE, GATED):
        for kind in Kind:
            wanted: dict[str, Any] = {"name": name, "organization": acme.org, "type": kind.value}
            wanted |= {"private": name == PRIVATE}
            wanted |= {"sdk": "static"} if kind is Kind.SPACE else {}
            is_bucket = kind is Kind.BUCKET
            target = f"/api/buckets/{acme.org}/{name}" if is_bucket else "/api/repos/create"
            assert owner.call("POST", target, wanted).status == 200
            if name == GATED and not is_bucket:
                settings = f"/api/{kind.plural}/{acme.org}/{name}/settings"
                assert owner.call("PUT", settings, {"gated": "auto"}).status == 200
    return acme


def outsiders(hub: ThreadHub) -> dict[str, dict[str, str]]:
    """Return the headers of every sort of caller who may see only what is public."""
    stranger, member = hub.user("stranger", password=PASSWORD), hub.user("member")
    hub.org(hub.user("other"), {"admin": member})

    def basic(name: str, password: str) -> dict[str, str]:
        return {"Authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}

    return {
        "anonymous": {},
        "stranger": {"Authorization": f"Bearer {stranger.token}"},
        "stranger with a read token": {
            "Authorization": f"Bearer {stranger.with_token('read').token}"
        },
        "stranger by Basic": basic("x", stranger.token),
        "stranger by password": basic(stranger.name, PASSWORD),
        "member of another organization": {"Authorization": f"Bearer {member.token}"},
        "browser of a stranger": {
            "Authorization": f"Bearer {stranger.token}",
            "Origin": "https://pages.example",
            "Sec-Fetch-Mode": "cors",
            "Sec-Fetch-Site": "cross-site",
        },
    }


def summary(response: Response) -> tuple[int, str | None]:
    return response.status, response.code


@pytest.mark.parametrize("name", ROUTES)
def test_a_route_serves_exactly_the_standings_with_its_right(acme: RightsOrg, name: str) -> None:
    route = ROUTES[name]
    needed = NEEDED.get(name, route.access)
    assert isinstance(needed, Right)
    for who, standing in STANDINGS.items():
        token = acme.tokens[who]
        signed_in = bool(token)
        # Buckets have no gate.
        gated = () if "{buckets}" in route.pattern else (GATED,)
        for visibility in (PUBLIC, PRIVATE, *gated):
            response = acme.call(route, visibility, token)
            case = (who, visibility, response.status, response.body)
            outside = standing is None
            if visibility == PRIVATE and outside:
                assert summary(response) == (404 if signed_in else 401, "RepoNotFound"), case
            elif visibility == GATED and outside and needed >= Right.READ:
                assert summary(response) == (403 if signed_in else 401, "GatedRepo"), case
            elif (needed >= Right.PROPOSE or route.own_change) and not signed_in:
                assert summary(response) == (401, None), case
            elif route.own_change and who == "owner with a read token":
                assert summary(response) == (403, None), case
            elif needed is Right.PROPOSE and who != "owner with a read token":
                # Whoever may read may propose; the token of the exception may only read.
                assert response.status not in (401, 403), case
            elif needed >= Right.PROPOSE and (standing is None or standing < needed):
                assert summary(response) == (403, None), case
                assert response.message
            else:
                assert response.status not in (401, 403), case
                assert response.code != "RepoNotFound", case


@pytest.mark.parametrize("name", ROUTES)
def test_an_invalid_token_is_refused_as_such_for_any_repository(acme: RightsOrg, name: str) -> None:
    for repo in (PUBLIC, PRIVATE, GATED, ABSENT):
        response = acme.call(ROUTES[name], repo, "hf_nobody")
        assert summary(response) == (401, None)
        assert response.message == "Invalid credentials in Authorization header"
    others = acme.hub.call("GET", "/api/whoami-v2", token="hf_nobody")
    assert others.message == "Invalid credentials in Authorization header"


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize("who", ["anonymous", "stranger"])
def test_a_hidden_repository_is_answered_like_a_missing_one_with_every_method(
    acme: RightsOrg, name: str, who: str
) -> None:
    for method in METHODS:
        hidden = acme.call(ROUTES[name], PRIVATE, acme.tokens[who], method)
        absent = acme.call(ROUTES[name], ABSENT, acme.tokens[who], method)
        assert plain(hidden) == plain(absent), method


@pytest.mark.parametrize("name", ROUTES | OTHERS)
def test_every_route_answers_every_outsider_for_a_hidden_repository_as_for_a_missing_one(
    acme: RightsOrg, name: str
) -> None:
    route = (ROUTES | OTHERS)[name]
    pairs = list(
        zip(
            requests_about(route, acme.org, PRIVATE),
            requests_about(route, acme.org, ABSENT),
            strict=True,
        )
    )
    for who, headers in acme.outsiders.items():
        # Callers differ in how they are identified, kinds in how an address is read.
        for hidden, absent in pairs if who == "anonymous" else pairs[:1]:
            responses = [
                acme.hub.call(route.method, target, body, token="", **headers)
                for target, body in (hidden, absent)
            ]
            assert plain(responses[0]) == plain(responses[1]), (who, hidden)


def requests_about(route: Route, org: str, name: str) -> list[tuple[str, Any]]:
    """Return address and body of the requests by which a route may be asked about a repository."""
    if isinstance(route.access, Right):
        body = None if route.method in ("GET", "HEAD") else b"{}"
        return [(target, body) for target in addresses(route, f"{org}/{name}")]
    (target,) = set(addresses(route, "none/none"))
    return [(target, body) for body in naming_bodies(route, org, name)]


def test_bodies_that_name_repositories_are_generated() -> None:
    """The route table says which these are; the test above then covers them."""
    naming = {name for name, route in OTHERS.items() if list(naming_bodies(route, "o", "n"))}
    assert naming >= {
        "POST /api/repos/create",
        "DELETE /api/repos/delete",
        "POST /api/repos/move",
    }


def plain(response: Response) -> tuple[int, dict[str, str], bytes]:
    """Return the whole response without the parts that differ between any two."""
    headers = {k: v for k, v in response.headers.items() if k not in ("date", "x-request-id")}
    body = response.body.replace(response.headers["x-request-id"].encode(), b"ID")
    for name in (PRIVATE, ABSENT):
        body = body.replace(name.encode(), b"NAME")
        headers = {k: v.replace(name, "NAME") for k, v in headers.items()}
    return response.status, headers, body


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/api/repos/delete", {"name": "ORG/NAME"}),
        ("DELETE", "/api/repos/delete", {"name": "NAME", "organization": "ORG"}),
        ("POST", "/api/repos/move", {"fromRepo": "ORG/NAME", "toRepo": "ORG/other-name"}),
        ("POST", "/api/repos/move", {"fromRepo": "ORG/NAME", "toRepo": "ME/other-name"}),
        ("POST", "/api/repos/create", {"name": "NAME", "organization": "ORG"}),
        ("POST", "/api/models/ME/own/duplicate", {"repository": "ORG/NAME"}),
        ("GET", "/api/models?author=ORG&search=NAME", None),
        ("GET", "/api/models?id=ORG%2FNAME", None),
        ("GET", "/api/settings/repositories?search=NAME", None),
        ("GET", "/api/repos/ls?organization=ORG", None),
    ],
)
def test_a_hidden_repository_named_in_a_body_is_answered_like_a_missing_one(
    acme: RightsOrg, method: str, path: str, body: dict[str, str] | None
) -> None:
    stranger = acme.hub.user("stranger")
    stranger.repo("own")
    responses = []
    for name in (PRIVATE, ABSENT):
        names = {"ORG": acme.org, "NAME": name, "ME": stranger.name}
        sent = {key: _filled(value, names) for key, value in (body or {}).items()}
        responses.append(plain(stranger.call(method, _filled(path, names), sent if body else None)))
    assert responses[0] == responses[1]


def _filled(text: str, names: dict[str, str]) -> str:
    return re.sub("ORG|NAME|ME", lambda match: names[match[0]], text)


def test_the_old_name_of_a_hidden_repository_is_unknown_to_a_stranger(acme: RightsOrg) -> None:
    anna, stranger = acme.hub.user("anna"), acme.hub.user("stranger")
    anna.repo("old", private=True)
    anna.api.move_repo(anna.path("old"), anna.path("new"))
    old, none = (
        stranger.call("GET", f"/api/models/{anna.path(name)}/refs") for name in ("old", "not")
    )
    assert plain(old) == plain(none)
    assert anna.call("GET", f"/api/models/{anna.path('old')}/refs").status == 307


@pytest.mark.parametrize("name", OTHERS)
def test_a_route_without_repository_requires_its_declared_right(acme: RightsOrg, name: str) -> None:
    route = OTHERS[name]
    pattern = route.pattern.replace("{buckets}", "buckets")
    target = re.sub(r"\{\w+[+*]?\}", "none", pattern)
    body = None if route.method in ("GET", "HEAD") else b"{}"
    anonymous = acme.hub.call(route.method, target, body)
    invalid = acme.hub.call(route.method, target, body, token="hf_nobody")
    if route.access is Access.SIGNED_IN:
        assert summary(anonymous) == (401, None)
        assert anonymous.message == "Invalid username or password."
    if route.access is Access.OPEN:
        assert summary(anonymous) == summary(invalid)
    else:
        assert summary(invalid) == (401, None)
        assert invalid.message == "Invalid credentials in Authorization header"


def test_a_contributor_owns_only_their_own_repositories(acme: RightsOrg) -> None:
    contributor, other = acme.hub.user("contributor"), acme.hub.user("contributor")
    org = acme.hub.org(acme.owner, {"contributor": contributor})
    contributor.api.create_repo(f"{org}/mine")
    acme.owner.api.create_repo(f"{org}/theirs")
    settings = {"gated": "auto"}
    assert contributor.call("PUT", f"/api/models/{org}/mine/settings", settings).status == 200
    assert contributor.call("PUT", f"/api/models/{org}/theirs/settings", settings).status == 403
    assert other.call("PUT", f"/api/models/{org}/mine/settings", settings).status == 403


#: The content of every file of ``sealed``, and in no name and no message.
SECRET = "tulips-at-noon"
#: Pages for all who see the repository; their own checks leave out what is in its files.
CHECKS_INSIDE = {
    "GET /{prefix}/{namespace}/{name}",
    "GET /{prefix}/{repo}/commit/{sha}",
    "GET /{prefix}/{repo}/compare/{rest+}",
    "GET /{prefix}/{repo}/tree/{rest*}",
}
CONTENT_TYPES = ("application/octet-stream", "text/plain")


@pytest.fixture(scope="module")
def sealed(acme: RightsOrg) -> dict[str, str]:
    """A gated model whose files contain ``SECRET``, and values for the patterns of routes."""
    repo_id = acme.owner.repo("sealed")
    contents = {"README.md": f"# Notes\n{SECRET}\n", "notes.txt": SECRET}
    operations = [CommitOperationAdd(path, text.encode() * 9) for path, text in contents.items()]
    tip = acme.owner.api.create_commit(repo_id, operations, commit_message="Add notes").oid
    acme.owner.api.update_repo_settings(repo_id, gated="auto")
    first = acme.owner.api.list_repo_commits(repo_id)[-1].commit_id
    return {"repo": repo_id, "tip": tip, "first": first}


def addresses_of(route: Route, sealed: dict[str, str]) -> list[str]:
    """Fill a pattern in all ways, one of which leads to ``sealed`` if any leads to content."""
    tip, path = sealed["tip"], "notes.txt"
    known = {"spec": f"{sealed['first']}..{tip}", "path": path, "sha": tip, "rest": f"{tip}/{path}"}
    pattern = re.sub(
        r"\{(rest|spec|path|sha|rev|branch)[+*]?\}",
        lambda match: known.get(match[1], tip),
        route.pattern,
    )
    pattern = pattern.replace("/{prefix}/{namespace}/{name}", "/{repo}")
    pattern = pattern.replace(f"/compare/{tip}/{path}", f"/compare/{known['spec']}")
    pattern = pattern.replace(f"/tree/{tip}/{path}", f"/tree/{tip}")
    target = address(replace(route, pattern=pattern), sealed["repo"])
    join = "&" if "?" in target else "?"
    return [target, f"{target}{join}expand=true&recursive=true&blobs=true"]


def sends_the_secret(acme: RightsOrg, route: Route, sealed: dict[str, str], token: str) -> bool:
    bodies = (None,) if route.method in ("GET", "HEAD") else (b"{}", b'{"paths":["notes.txt"]}')
    return any(
        SECRET.encode() in acme.hub.call(route.method, target, body, token=token).body
        for target in addresses_of(route, sealed)
        for body in bodies
    )


def test_every_route_that_sends_content_requires_the_right_to_read(
    acme: RightsOrg, sealed: dict[str, str]
) -> None:
    safe = [route for route in ROUTES.values() if route.method in ("GET", "HEAD")]
    safe += [route for route in ROUTES.values() if "paths-info" in route.pattern]
    reader = acme.owner.with_token("read").token
    sending = {route.name: route for route in safe if sends_the_secret(acme, route, sealed, reader)}
    assert sending.keys() >= {
        "GET /{prefix}/{repo}/resolve/{rest+}",
        "GET /{prefix}/{repo}/raw/{rest+}",
        "GET /{prefix}/{repo}/blob/{rest+}",
        "GET /api/{kinds}/{repo}/compare/{spec+}",
        "GET /api/resolve-cache/{kinds}/{repo}/{sha}/{path+}",
        *CHECKS_INSIDE,
    }
    for name, route in sending.items():
        assert name in CHECKS_INSIDE or requires_read(route), name
    for token in (acme.tokens["anonymous"], acme.tokens["stranger"]):
        leaks = [r.name for r in ROUTES.values() if sends_the_secret(acme, r, sealed, token)]
        assert leaks == []


def requires_read(route: Route) -> bool:
    return isinstance(route.access, Right) and route.access >= Right.READ


def test_a_route_whose_response_is_bytes_requires_the_right_to_read() -> None:
    sending = [r for r in ROUTES.values() if r.doc.media_type in CONTENT_TYPES or r.wire == "git"]
    assert len(sending) >= 7
    assert [route.name for route in sending if not requires_read(route)] == []
