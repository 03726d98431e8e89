"""``expand[]=deduplication``: the storage of files, without hints about unreadable ones."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from tests.support.hub import ThreadHub
from tests.support.person import Person


def usage_of(person: Person | ThreadHub, repo: str) -> dict[str, Any]:
    response = person.call("GET", f"/api/models/{repo}?expand[]=deduplication")
    assert response.status == 200
    usage: dict[str, Any] = response.json["deduplication"]
    return usage


def put(person: Person, repo: str, path: str, content: bytes) -> None:
    person.api.upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=repo)


def test_a_repository_shows_its_shared_bytes_and_with_whom(live_hub: ThreadHub) -> None:
    anna = live_hub.user("anna")
    base, tuned = anna.repo("base"), anna.repo("tuned")
    both, own = secrets.token_bytes(20_000), secrets.token_bytes(500)
    put(anna, base, "both.bin", both)
    put(anna, tuned, "same.bin", both)
    put(anna, tuned, "own.bin", own)
    usage = usage_of(anna, tuned)
    assert usage == {
        "logicalBytes": 20_500,
        "storedBytes": 20_500,
        "uniqueBytes": 500,
        "sharedBytes": 20_000,
        "sharedWith": [{"name": base, "type": "model", "bytes": 20_000}],
    }
    assert usage_of(anna, base)["uniqueBytes"] == 0


def test_hidden_repositories_do_not_show(live_hub: ThreadHub) -> None:
    anna, eve = live_hub.user("anna"), live_hub.user("eve")
    secret, guess = anna.repo("secret", private=True), eve.repo("guess")
    content = secrets.token_bytes(20_000)
    put(eve, guess, "guess.bin", content)
    before = usage_of(eve, guess)
    put(anna, secret, "secret.bin", content)
    assert usage_of(eve, guess) == before
    assert before["uniqueBytes"] == 20_000
    assert before["sharedWith"] == []
    assert usage_of(anna, secret)["sharedWith"][0]["name"] == guess


def test_the_files_of_a_gated_repository_do_not_show(live_hub: ThreadHub) -> None:
    anna, eve = live_hub.user("anna"), live_hub.user("eve")
    gated, guess = anna.repo("gated"), eve.repo("guess")
    content = secrets.token_bytes(20_000)
    put(anna, gated, "gated.bin", content)
    put(eve, guess, "guess.bin", content)
    assert usage_of(eve, guess)["sharedBytes"] == 20_000
    anna.api.update_repo_settings(gated, gated="manual")
    assert usage_of(eve, guess)["sharedBytes"] == 0


def test_the_usage_is_computed_only_on_request(live_hub: ThreadHub) -> None:
    anna = live_hub.user("anna")
    repo = anna.repo("base")
    assert "deduplication" not in anna.call("GET", f"/api/models/{repo}").json
    assert usage_of(anna, repo)["logicalBytes"] == 0
    listed = anna.call("GET", f"/api/models?author={anna.name}&expand[]=deduplication").json
    assert [item["id"] for item in listed] == [repo]
    assert "deduplication" not in listed[0]


FINE_TUNE = """
import random
base, tuned = args
whole = random.Random(7).randbytes(8_000_000)
api.upload_file(path_or_fileobj=whole, path_in_repo="w.bin", repo_id=base)
changed = whole[:6_000_000] + random.Random(8).randbytes(2_000_000)
api.upload_file(path_or_fileobj=changed, path_in_repo="w.bin", repo_id=tuned)
"""


def test_a_fine_tune_uploaded_by_xet_costs_only_its_changes(
    live_hub: ThreadHub, tmp_path: Path
) -> None:
    anna = live_hub.user("anna")
    base, tuned = anna.repo("base"), anna.repo("tuned")
    anna.python(FINE_TUNE, base, tuned, home=tmp_path)
    usage = usage_of(anna, tuned)
    assert usage["logicalBytes"] == 8_000_000
    assert usage["storedBytes"] == usage["uniqueBytes"] + usage["sharedBytes"]
    assert 2_000_000 < usage["uniqueBytes"] < 2_500_000
    assert 5_500_000 < usage["sharedBytes"] < 6_010_000
    assert [item["name"] for item in usage["sharedWith"]] == [base]
    page = anna.call("GET", f"/{tuned}").body.decode()
    assert "of 8.0 MB is only in this repository" in page
    assert f'shared with <a href="/{base}"><bdi>{base}</bdi></a>' in page
    hidden = live_hub.user("eve").call("GET", f"/{tuned}").body.decode()
    assert base in hidden
    anna.api.update_repo_settings(base, private=True)
    hidden = live_hub.call("GET", f"/{tuned}").body.decode()
    assert base not in hidden
