"""Pull requests over HTTP: what details show beyond those of a discussion, and merges."""

from __future__ import annotations

from typing import Any

from hubstead.admission import Lane, run_in_lane
from hubstead.commits import find_ref
from hubstead.discussions import DiscussionRow, find_conflicts
from hubstead.repos import Right, allows
from hubstead.wire import Request
from hubstead.wire.hub_api.discussion_json import pull_facts

#: A longer diff is cut, and ends with this line.
MAX_DIFF_BYTES = 1 << 20
CUT = "\n... the diff is longer: fetch the ref to see all of it\n"


async def pull_request_json(request: Request, row: DiscussionRow) -> dict[str, Any]:
    """Return the fields that only details of a pull request have."""
    url = f"{request.public_url}/api/{request.repo.kind.plural}/{request.repo.full_name}"
    shown: dict[str, Any] = {
        "changes": pull_facts(row),
        "filesWithConflicts": await find_conflicts(request.hub.stores, request.repo, row),
        "diffUrl": f"{url}/compare/{row.base}...{row.ref}",
    }
    if request.query.flag("diff") and allows(request.repo, request.actor, Right.READ):
        shown |= await _diff(request, row)
    return shown


async def _diff(request: Request, row: DiscussionRow) -> dict[str, str]:
    """Return the diff from where the request left its base; none if a ref is gone."""
    db, repo = request.hub.db, request.repo
    head = await find_ref(db, repo.pk, row.ref)
    base = row.merge_commit and f"{row.merge_commit}"
    if base is None and (ref := await find_ref(db, repo.pk, row.base or "")) is not None:
        base = ref.target
    if head is None or base is None:
        return {}
    git = await request.git()
    await request.hub.stores.fetch_missing_packs(repo, [head.target, base])

    def read() -> bytes:
        start = git.merge_base(base, head.target)
        if row.merge_commit and (parents := git.commit(base).parents):
            start = git.merge_base(parents[0], head.target)
        return b"".join(git.diff_text(start, head.target, max_bytes=MAX_DIFF_BYTES))

    text = await run_in_lane(Lane.HISTORY, read)
    cut = CUT if len(text) >= MAX_DIFF_BYTES else ""
    return {"diff": text.decode("utf-8", "replace") + cut}
