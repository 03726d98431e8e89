"""``expand[]=deduplication``: what files take, not a word about what the caller may not read."""

from __future__ import annotations

import secrets
from typing import Any

from tests.live import LiveHub, Person


def told(person: Person | LiveHub, repo: str) -> dict[str, Any]:
    answer = person.call("GET", f"/api/models/{repo}?expand[]=deduplication")
    assert answer.status == 200
    found: dict[str, Any] = answer.json["deduplication"]
    return found


def put(person: Person, repo: str, path: str, content: bytes) -> None:
    person.api.upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=repo)


def test_a_repository_says_what_it_shares_and_with_whom(live_hub: LiveHub) -> None:
    anna = live_hub.user("anna")
    base, tuned = anna.repo("base"), anna.repo("tuned")
    both, own = secrets.token_bytes(20_000), secrets.token_bytes(500)
    put(anna, base, "both.bin", both)
    put(anna, tuned, "same.bin", both)
    put(anna, tuned, "own.bin", own)
    found = told(anna, tuned)
    assert found == {
        "logicalBytes": 20_500,
        "storedBytes": 20_500,
        "uniqueBytes": 500,
        "sharedBytes": 20_000,
        "sharedWith": [{"name": base, "type": "model", "bytes": 20_000}],
    }
    assert told(anna, base)["uniqueBytes"] == 0


def test_what_is_hidden_from_the_caller_does_not_show(live_hub: LiveHub) -> None:
    anna, eve = live_hub.user("anna"), live_hub.user("eve")
    secret, guess = anna.repo("secret", private=True), eve.repo("guess")
    content = secrets.token_bytes(20_000)
    put(eve, guess, "guess.bin", content)
    before = told(eve, guess)
    put(anna, secret, "secret.bin", content)
    assert told(eve, guess) == before
    assert before["uniqueBytes"] == 20_000
    assert before["sharedWith"] == []
    assert told(anna, secret)["sharedWith"][0]["name"] == guess


def test_the_files_of_a_gated_repository_are_not_spoken_of(live_hub: LiveHub) -> None:
    anna, eve = live_hub.user("anna"), live_hub.user("eve")
    gated, guess = anna.repo("gated"), eve.repo("guess")
    content = secrets.token_bytes(20_000)
    put(anna, gated, "gated.bin", content)
    put(eve, guess, "guess.bin", content)
    assert told(eve, guess)["sharedBytes"] == 20_000
    anna.api.update_repo_settings(gated, gated="manual")
    assert told(eve, guess)["sharedBytes"] == 0


def test_nobody_pays_for_it_who_does_not_ask(live_hub: LiveHub) -> None:
    anna = live_hub.user("anna")
    repo = anna.repo("base")
    assert "deduplication" not in anna.call("GET", f"/api/models/{repo}").json
    assert told(anna, repo)["logicalBytes"] == 0
    listed = anna.call("GET", f"/api/models?author={anna.name}&expand[]=deduplication").json
    assert [each["id"] for each in listed] == [repo]
    assert "deduplication" not in listed[0]
