"""The pages of a running hub, requested by a browser and by a client."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, HfApi

from tests.support.hub import ProcessHub, running_hub

ODD = "<svg onload=alert(1)>.txt"
EVIL = "</title><script>alert(1)</script>"


@dataclass
class Response:
    """A response; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: str


class Elements(HTMLParser):
    """Collects the tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def links(self) -> list[str]:
        return [value for name, value in self.attributes if name == "href" and value]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessHub]:
    with running_hub(tmp_path_factory.mktemp("pages") / "data") as served:
        fill(served)
        yield served


def fill(served: ProcessHub) -> None:
    api = HfApi(endpoint=served.url, token=served.token)
    for name in ("bert", "secret"):
        api.create_repo(f"admin/{name}", private=name == "secret")
    api.create_repo("admin/squad", repo_type="dataset")
    card = f"---\nlicense: mit\ntags: ['{EVIL}']\n---\n# Bert {EVIL}\n".encode()
    files = {
        "README.md": card,
        f"a&b/{ODD}": b"hi <b>bold</b>",
        "a&b/q?#%.txt": b"odd",
        "big.bin": b"\0" * 11_000_000,
        "picture.png": b"\x89PNG\r\n\0\0",
        "odd.dat": b"\0\1",
    }
    operations = [CommitOperationAdd(path, data) for path, data in files.items()]
    api.create_commit("admin/bert", operations, commit_message=f"{EVIL}\n\nbody {EVIL}")
    api.create_branch("admin/bert", branch="feature/x")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(
    hub: ProcessHub, path: str, *, method: str = "GET", accept: str = "text/html", token: str = ""
) -> Response:
    parts = urlsplit(hub.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    headers = {"Accept": accept}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    lines = {name.lower(): value for name, value in response.getheaders()}
    body = response.read().decode()
    connection.close()
    return Response(response.status, lines, body)


def page(hub: ProcessHub, path: str, *, token: str = "") -> str:
    """Return a page after checks of its status and its safety headers."""
    response = ask(hub, path, token=token)
    assert response.status == 200, response.body
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "same-origin"
    elements = Elements(response.body)
    assert not {"script", "iframe", "style", "object", "embed"} & set(elements.tags)
    assert all(
        value and value.startswith("/") for name, value in elements.attributes if name == "src"
    )
    assert not [name for name, _ in elements.attributes if name.startswith("on")]
    assert "style" not in dict(elements.attributes)
    assert elements.tags.count("main") == elements.tags.count("h1") == 1
    return response.body


def test_the_first_page_shows_how_to_connect_and_recent_repositories(hub: ProcessHub) -> None:
    body = page(hub, "/")
    assert f"export HF_ENDPOINT={hub.url}" in body
    links = Elements(body).links
    assert {"/api/openapi.json", "/healthz", "/admin/bert", "/datasets/admin/squad"} <= set(links)
    assert "secret" not in body


def test_every_link_of_every_page_resolves(hub: ProcessHub) -> None:
    seen, waiting = set(), ["/"]
    while waiting:
        path = waiting.pop()
        if path in seen or not path.startswith("/"):
            continue
        seen.add(path)
        response = ask(hub, path, method="HEAD" if "/resolve/" in path else "GET")
        assert response.status in (200, 302), path
        if response.headers.get("content-type", "").startswith("text/html"):
            waiting += Elements(response.body).links
    assert len(seen) > 20
    assert any("/resolve/main/a%26b/q%3F%23%25.txt" in path for path in seen)


def test_a_repository_shows_its_card_and_its_files(hub: ProcessHub) -> None:
    body = page(hub, "/admin/bert")
    assert '<h2 id="user-content-bert-titlescriptalert1script">Bert </h2>' in body
    assert EVIL not in body
    body = page(hub, "/admin/bert/tree/main")
    elements = Elements(body)
    assert "/admin/bert/blob/main/README.md" in elements.links
    assert "11.0 MB" in elements.text  # the size in the pointer
    assert "LFS" in elements.text
    assert EVIL in elements.text  # the title of the last commit


def test_names_are_escaped_and_never_html(hub: ProcessHub) -> None:
    name = quote(f"a&b/{ODD}")
    body = page(hub, f"/admin/bert/blob/main/{name}")
    assert Elements(body).text.count(ODD) >= 2  # title and crumbs
    assert "hi <b>bold</b>" in Elements(body).text
    for path in ("/admin/bert/tree/main/a%26b", "/admin/bert/commits/main"):
        page(hub, path)


def test_binary_files_are_offered_for_download(hub: ProcessHub) -> None:
    assert "not a text" in page(hub, "/admin/bert/blob/main/odd.dat")
    picture = Elements(page(hub, "/admin/bert/blob/main/picture.png"))
    assert ("src", "/admin/bert/resolve/main/picture.png") in picture.attributes
    body = page(hub, "/admin/bert/blob/main/big.bin")
    assert "kept beside git" in body
    assert "/admin/bert/resolve/main/big.bin?download=true" in Elements(body).links


def test_revisions_may_contain_slashes_raw_or_encoded(hub: ProcessHub) -> None:
    for revision in ("feature/x", "feature%2Fx", "refs%2Fheads%2Ffeature%2Fx"):
        body = page(hub, f"/admin/bert/tree/{revision}/a%26b")
        assert ODD in Elements(body).text
    links = Elements(page(hub, "/admin/bert/tree/feature%2Fx")).links
    assert "/admin/bert/blob/feature%2Fx/README.md" in links


def test_a_commit_has_a_page_and_supports_head(hub: ProcessHub) -> None:
    links = Elements(page(hub, "/admin/bert/commits/main")).links
    newest = next(link for link in links if "/commit/" in link)
    body = page(hub, newest)
    assert EVIL in Elements(body).text
    assert "/blob/" in body
    response = ask(hub, newest, method="HEAD", accept="*/*")
    assert (response.status, response.body) == (200, "")
    assert ask(hub, f"/admin/bert/commit/{'0' * 39}1", method="HEAD").status == 404
    assert ask(hub, "/datasets/admin/squad/commit/main", method="HEAD").status == 200


def test_history_has_pages(hub: ProcessHub) -> None:
    assert "initial commit" in page(hub, "/admin/bert/commits/main")
    assert "initial commit" not in page(hub, "/admin/bert/commits/main?p=1")
    assert ask(hub, "/admin/bert/commits/main?p=x").status == 400


def test_private_repositories_are_visible_only_to_their_readers(hub: ProcessHub) -> None:
    absent, hidden = ask(hub, "/admin/absent"), ask(hub, "/admin/secret")  # of one length
    assert hidden.status == absent.status == 401
    number = re.compile(r"Root=\S+<")
    assert number.sub("<", hidden.body).replace("secret", "absent") == number.sub("<", absent.body)
    assert "secret" not in page(hub, "/admin")
    assert "private" in page(hub, "/admin/secret", token=hub.token)
    assert "/admin/secret" in Elements(page(hub, "/admin", token=hub.token)).links
    assert ask(hub, "/admin/secret/tree/main").status == 401


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nobody", 404),
        ("/%00", 400),
        ("/a%FFb", 400),
        ("/admin/bert/tree/nope", 404),
        ("/admin/bert/tree/main/nope", 404),
        ("/admin/bert/blob/main/a%26b", 404),
        ("/admin/bert/blob/main/", 404),
        ("/admin/bert/blob/main/%00", 400),
        ("/admin/bert/tree/%00", 400),
        ("/admin/bert/tree/main/%00%0A%FF", 400),
        ("/admin/bert/commit/%00", 400),
        ("/admin/bert/commits/main/nope", 404),
        ("/admin/bert/blame/main/nope", 404),
        ("/admin/bert/compare/main", 404),
        ("/admin/bert/compare/main...nope", 404),
        ("/admin/bert/discussions", 501),
        ("/admin/bert/discussions/1", 501),
        ("/admin/bert/settings", 401),
        ("/static/nothing.js", 404),
        ("/static/..%2Frouting.py", 404),
    ],
)
def test_errors_are_pages_for_browsers_and_json_for_clients(
    hub: ProcessHub, path: str, status: int
) -> None:
    shown = ask(hub, path)
    assert shown.status == status
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    elements = Elements(shown.body)
    assert str(status) in elements.text
    assert shown.headers["x-request-id"] in elements.text
    assert {"main", "header", "footer", "h1"} <= set(elements.tags)
    assert "/" in elements.links
    response = ask(hub, path, accept="*/*")
    assert response.status == status
    assert response.headers["content-type"].startswith("application/json")
    assert response.headers["x-error-message"]


def test_an_error_page_never_repeats_the_request_as_html(hub: ProcessHub) -> None:
    response = ask(hub, f"/admin/bert/tree/main/{quote(EVIL, safe='')}")
    assert response.status == 404
    assert "<script" not in response.body


def test_static_files_have_their_types_and_robots_txt_its_rules(hub: ProcessHub) -> None:
    for path, media_type in (
        ("/static/hubstead.css", "text/css; charset=utf-8"),
        ("/favicon.ico", "image/svg+xml"),
        ("/static/favicon.svg", "image/svg+xml"),
        ("/robots.txt", "text/plain; charset=utf-8"),
    ):
        response = ask(hub, path)
        assert (response.status, response.headers["content-type"]) == (200, media_type)
        assert response.body
    assert "Disallow: /api/" in ask(hub, "/robots.txt").body


def assets_of(hub: ProcessHub) -> list[str]:
    """Return the static files of the front page, and what its style sheet loads."""
    links = [link for link in Elements(ask(hub, "/").body).links if "/static/" in link]
    sheet = next(link for link in links if link.endswith(".css"))
    names: list[str] = re.findall(r'url\("(.*?)"\)', ask(hub, sheet).body)
    return [*links, *(f"/static/{name}" for name in names)]


def test_static_files_of_pages_have_the_digest_of_their_content_in_their_address(
    hub: ProcessHub,
) -> None:
    addresses = assets_of(hub)
    assert {address.rpartition(".")[2] for address in addresses} == {"css", "svg", "woff2"}
    for address in addresses:
        assert re.search(r"\.[0-9a-f]{8}\.", address)
        response = httpx2.get(hub.url + address)
        assert response.status_code == 200
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        digest = hashlib.sha256(response.content).hexdigest()[:8]
        assert f".{digest}." in address
    assert ask(hub, "/static/hubstead.00000000.css").status == 404


def test_the_style_sheet_is_small_and_names_no_other_origin(hub: ProcessHub) -> None:
    sheet = next(address for address in assets_of(hub) if address.endswith(".css"))
    with httpx2.stream("GET", hub.url + sheet, headers={"accept-encoding": "gzip"}) as response:
        packed = b"".join(response.iter_raw())
    assert response.headers["content-encoding"] == "gzip"
    assert len(packed) < 9_000
    assert b"//" not in gzip.decompress(packed)


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, br", "gzip"),
        ("br, gzip;q=0.5", "gzip"),
        ("identity", None),
        ("gzip;q=0", None),
        ("gzip; q=0.0", None),
        ("", None),
    ],
)
def test_pages_are_compressed_for_those_who_accept_it(
    hub: ProcessHub, accepted: str, encoding: str | None
) -> None:
    headers = {"accept": "text/html", "accept-encoding": accepted}
    for path, status in (("/admin/bert", 200), ("/nobody", 404)):
        response = httpx2.get(hub.url + path, headers=headers)
        assert response.status_code == status
        assert response.headers.get("content-encoding") == encoding
        assert "Accept-Encoding" in response.headers["vary"]
        assert response.text.endswith("</html>")


def test_a_cookie_pins_the_theme(hub: ProcessHub) -> None:
    for theme, pinned in (("dark", True), ("light", True), ('"><script>', False), ("", False)):
        body = httpx2.get(hub.url, headers={"cookie": f"theme={theme}"}).text
        assert (f'<html lang="en" data-theme="{theme}">' in body) is pinned
        assert "<script" not in body


def test_times_are_relative_and_never_fail() -> None:
    from hubstead.pages.render import ago, exact_time

    now = 1_700_000_000_000
    minute = 60_000
    assert ago(now, now) == "just now"
    assert ago(now - minute, now) == "1 minute ago"
    assert ago(now - 150 * minute, now) == "2 hours ago"
    assert ago(now - 400 * 24 * 60 * minute, now) == "1 year ago"
    assert ago(now + 60 * minute, now) == "2023-11-14"  # ahead of this clock
    assert ago(2**62, now) == exact_time(2**62) == "at an impossible time"


def test_paths_sizes_and_times_are_readable() -> None:
    from hubstead.pages.render import bytes_for_people, moment, path_in_url, segment_in_url

    assert path_in_url("a b/ü\udcff") == "a%20b/%C3%BC%FF"
    assert segment_in_url("refs/pr/1") == "refs%2Fpr%2F1"
    assert [bytes_for_people(n) for n in (0, 999, 1000, 999_949, 999_950)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "999.9 kB",
        "1.0 MB",
    ]
    assert moment(0) == "1970-01-01 00:00"
    assert moment(2**60) == "at an impossible time"


def test_a_hub_below_a_path_prefixes_its_links(tmp_path: Path) -> None:
    public = "https://hub.example.com/models"
    port = free_port()
    with running_hub(tmp_path / "data", {"public_url": public}, fixed_port=port) as served:
        assert served.public_url == public
        body = ask(served, "/").body
        assert f"export HF_ENDPOINT={public}" in body
        links = [link for link in Elements(body).links if link.startswith("/")]
        assert links
        assert all(link.startswith("/models/") for link in links)
        assert ask(served, "/models/static/hubstead.css").status == 200


def test_the_first_token_makes_the_password_of_the_administrator_once(hub: ProcessHub) -> None:
    assert 'href="/login/setup"' in page(hub, "/")
    assert "first start" in page(hub, "/login/setup")

    def send(token: str, password: str = "new password", again: str = "") -> httpx2.Response:
        form = {"token": token, "password": password, "again": again or password}
        return httpx2.post(f"{hub.url}/login/setup", data=form)

    assert send("hf_wrong").status_code == 422
    assert send(hub.token, again="other").status_code == 422
    foreign = {"origin": "https://evil.example"}
    form = {"token": hub.token, "password": "x", "again": "x"}
    assert httpx2.post(f"{hub.url}/login/setup", data=form, headers=foreign).status_code == 403
    done = send(hub.token)
    assert done.status_code == 303
    cookie = done.headers["set-cookie"].partition(";")[0]
    assert "/admin/secret" in httpx2.get(hub.url, headers={"cookie": cookie}).text
    assert send(hub.token).status_code == 422
    assert 'href="/login/setup"' not in page(hub, "/")
    assert ask(hub, "/login/setup").status == 303
