"""The first page of a repository: its card, its facts, and how to use it."""

from __future__ import annotations

import msgspec
from markupsafe import Markup

from hubstead.admission import Lane, run_in_lane
from hubstead.errors import BlobNotFound, NotBuilt, Unavailable
from hubstead.facts import NO_FACTS, ModelFacts, list_model_files, model_facts
from hubstead.gitstore import GitRepo
from hubstead.http import Response
from hubstead.ids import Kind
from hubstead.pages.cards import card_at
from hubstead.pages.markup import highlight_lines
from hubstead.pages.pills import SHOWN, pills_of
from hubstead.pages.repo_page import repo_page, root_of
from hubstead.pages.rows import FirstRows, find_rows
from hubstead.pages.snippets import Snippet, Usage, snippets_of, ways_in
from hubstead.repos import Deduplication, Right, allows, load_details, measure_deduplication
from hubstead.wire import Request
from hubstead.xet import terms_bytes

CARD = "README.md"
#: Kinds whose repositories have a list.
LISTED = frozenset((Kind.MODEL, Kind.DATASET, Kind.SPACE))
ATTRIBUTES = ".gitattributes"
#: Files whose headers the page reads itself if no job has read them yet.
FACT_FILES = 4
#: The newest commits at the side.
RECENT = 3
#: Larger repositories show no deduplication savings: measuring them would delay the page.
QUICK_TERMS_BYTES = 256 * 1024


async def home(request: Request) -> Response:
    """Show a repository: its card, its facts, and how to use it."""
    repo = request.repo
    revision = None if repo.head is None else await request.revision(repo.default_branch)
    git = await request.git()
    if revision is None or await run_in_lane(Lane.READS, _is_bare, git, revision.commit):
        return _empty(request)
    details = await load_details(request.hub.db, repo)
    tags = msgspec.json.decode(details.tags)
    pills = pills_of(details, tags)
    may_read = allows(repo, request.actor, Right.READ)
    card = await card_at(request, git, revision, CARD) if may_read else None
    usage = Usage(repo, request.public_url, repo.default_branch, details, tags)
    return repo_page(
        request,
        "repository.html",
        tab="card",
        images=True,
        revision=revision,
        details=details,
        pills=pills[:SHOWN],
        more_pills=pills[SHOWN:],
        listed=f"{root_of(request)}/{repo.kind.plural}" if repo.kind in LISTED else None,
        card=card,
        may_read=may_read,
        facts=await _facts(request, git, revision.commit) if may_read else NO_FACTS,
        recent=await run_in_lane(Lane.READS, git.log, revision.commit, 0, RECENT),
        saved=await _saved(request),
        rows=await _first_rows(request, git, revision.commit) if may_read else None,
        **chosen(request, snippets_of(usage)),
    )


def _empty(request: Request) -> Response:
    """Show the ways to put the first files in."""
    repo = request.repo
    usage = Usage(repo, request.public_url, repo.default_branch)
    ways = [(way, highlighted(way)) for way in ways_in(usage)]
    may_write = allows(repo, request.actor, Right.WRITE)
    return repo_page(request, "empty.html", tab="card", ways=ways, may_write=may_write)


def chosen(request: Request, snippets: list[Snippet]) -> dict[str, object]:
    """Return the snippets for a template, and the one that ``?use=`` names, or the first."""
    wanted = request.query.one("use")
    snippet = next((one for one in snippets if one.name == wanted), snippets[0])
    return {"snippets": snippets, "snippet": snippet, "snippet_html": highlighted(snippet)}


def highlighted(snippet: Snippet) -> Markup:
    """Return a snippet as HTML."""
    lines = highlight_lines(snippet.text, snippet.language)
    if snippet.shell:
        lines = [*highlight_lines(snippet.shell, "bash"), "", *lines]
    return Markup("\n".join(lines))  # noqa: S704 - escaped


async def _facts(request: Request, git: GitRepo, commit: str) -> ModelFacts:
    """Return the facts of a model's files; of many files only those that a job has read."""
    if request.repo.kind is not Kind.MODEL:
        return NO_FACTS
    files = await run_in_lane(Lane.READS, list_model_files, git, commit)
    try:
        return await model_facts(
            request.hub.facts, request.repo.pk, git, files, read=len(files) <= FACT_FILES
        )
    except (BlobNotFound, Unavailable):
        return NO_FACTS


def _is_bare(git: GitRepo, commit: str) -> bool:
    """Whether a commit has nothing but the file with which every repository begins."""
    return all(entry.path == ATTRIBUTES for entry in git.tree_page(commit, limit=2))


async def _first_rows(request: Request, git: GitRepo, commit: str) -> FirstRows | None:
    """Return the first rows of a dataset's first table; None if no table is small and in git."""
    if request.repo.kind is not Kind.DATASET:
        return None
    return await run_in_lane(Lane.HISTORY, find_rows, git, commit)


async def _saved(request: Request) -> Deduplication | None:
    """Return what deduplication saves; None if nothing, or if measuring would take long."""
    if not 0 < await terms_bytes(request.hub.db, request.repo.pk) <= QUICK_TERMS_BYTES:
        return None
    saved = await measure_deduplication(request.hub.db, request.actor, request.repo)
    return saved if saved.stored < saved.logical or saved.shared else None


async def unbuilt(_request: Request) -> Response:
    """Reject the request: this page does not exist yet."""
    raise NotBuilt(what="this page comes with the web site")
