"""What the pages of a repository share: the head with its tabs, and the way to a file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from hubstead.admission import Lane, run_in_lane
from hubstead.commits import Revision
from hubstead.gitstore import Entry, GitRepo, Pointer
from hubstead.http import Response
from hubstead.ids import Kind
from hubstead.pages.render import POLICY, page, path_in_url, segment_in_url, transport_headers
from hubstead.repos import Right, allows
from hubstead.wire import Request

#: What the first tab is called, by kind.
_CARD_TABS = {Kind.MODEL: "Model card", Kind.DATASET: "Dataset card", Kind.SPACE: "App"}
SHOWN_BYTES = 256 * 1024


@dataclass(frozen=True)
class Tab:
    """A tab of the head: the name of its page, its address, text and icon."""

    name: str
    href: str
    text: str
    icon: str


@dataclass(frozen=True)
class Line:
    """A file or folder, with the LFS object that the file stands for."""

    entry: Entry
    pointer: Pointer | None

    @property
    def size(self) -> int:
        """Bytes of the file itself, in git or behind a pointer."""
        return self.pointer.size if self.pointer else self.entry.size


def repo_page(
    request: Request, template: str, /, *, tab: str, images: bool = False, **facts: Any
) -> Response:
    """Render a template below the head of the repository.

    Templates get ``here``, the repository's address, and ``tabs``.

    Args:
        request: The request.
        template: The template.
        tab: The name of the tab that the page belongs to.
        images: Whether the page shows a card, which may have images of the hosts that
            ``remote_card_images`` names.
        facts: What else the template needs.
    """
    repo = request.repo
    here = repo_address(request)
    tabs = [
        Tab("card", here, _CARD_TABS.get(repo.kind, "Card"), "file"),
        Tab("files", f"{here}/tree/{segment_in_url(repo.default_branch)}", "Files", "folder"),
        Tab("commits", f"{here}/commits/{segment_in_url(repo.default_branch)}", "History", "clock"),
    ]
    if allows(repo, request.actor, Right.ADMIN):
        tabs.append(Tab("settings", f"{here}/settings", "Settings", "gear"))
    headers = _policy(request) if images else {}
    return page(
        request, template, headers=headers, repo=repo, here=here, tabs=tabs, tab=tab, **facts
    )


async def long_repo_page(request: Request, template: str, /, **facts: Any) -> Response:
    """Render a template that may have thousands of lines, in a thread: others do not wait for it.

    The arguments are those of :func:`repo_page`.
    """
    return await run_in_lane(Lane.READS, partial(repo_page, request, template, **facts))


def repo_address(request: Request) -> str:
    """Return the path of the repository's page, below the hub's prefix."""
    root = root_of(request)
    return f"{root}/{path_in_url(request.repo.repo_id.web_path)}"


def root_of(request: Request) -> str:
    """Return the path prefix of the hub's own links."""
    _scheme, _, rest = request.public_url.partition("://")
    return f"/{rest.partition('/')[2]}".rstrip("/")


def _policy(request: Request) -> dict[str, str]:
    """Return the policy that lets the images of the named hosts in."""
    hosts = request.hub.settings.server.remote_card_images
    if not hosts:
        return {}
    sources = "https:" if "*" in hosts else " ".join(f"https://{host}" for host in hosts)
    policy = transport_headers(request.public_url).get("content-security-policy", POLICY)
    return {"content-security-policy": policy.replace("img-src ", f"img-src {sources} ", 1)}


async def revision_and_path(request: Request) -> tuple[Revision, str]:
    """Split the rest of the URL into revision and path; the default branch if it is empty."""
    text, path = await request.split("rest")
    return await request.revision(text or request.repo.default_branch), path.rstrip("/")


def line_of(git: GitRepo, entry: Entry) -> Line:
    """Return an entry with its LFS pointer."""
    pointer = git.blob_facts(entry.oid).pointer if entry.type == "blob" else None
    return Line(entry, pointer)


def text_of(git: GitRepo, line: Line, most: int = SHOWN_BYTES) -> str | None:
    """Return the text of a file in git, or None if it is large, binary or an LFS object."""
    if line.pointer or line.entry.type not in ("blob", "link") or line.size > most:
        return None
    data = git.blob(line.entry.oid)
    return None if b"\0" in data else data.decode("utf-8", "replace")
