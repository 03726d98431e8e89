"""Renames of accounts over HTTP, and where their old addresses lead."""

from __future__ import annotations

import secrets

from tests.support.hub import ThreadHub

_FETCH = "/info/refs?service=git-upload-pack"


def test_old_addresses_of_a_renamed_user_redirect(embedded_hub: ThreadHub) -> None:
    anna = embedded_hub.user(f"u{secrets.token_hex(4)}")
    repo_id = anna.repo("bert")
    old, new = anna.name, f"{anna.name}x"
    renamed = anna.call("PUT", f"/api/users/{old}/name", {"name": new})
    assert (renamed.status, renamed.json["name"]) == (200, new)
    for address, target in [
        (f"/api/users/{old}/overview", f"/api/users/{new}/overview"),
        (f"/{old}", f"/{new}"),
        (f"/api/models/{repo_id}", f"/api/models/{new}/bert"),
        (
            f"/{repo_id}/info/refs?service=git-upload-pack",
            f"/{new}/bert/info/refs?service=git-upload-pack",
        ),
    ]:
        moved = anna.call("GET", address)
        assert (moved.status, moved.headers["location"]) == (307, target), address
        assert anna.call("GET", target).status == 200, target
    assert anna.call("GET", f"/api/models?author={old}").json[0]["id"] == f"{new}/bert"


def test_an_organization_is_renamed_by_its_administrators(embedded_hub: ThreadHub) -> None:
    anna, bob = embedded_hub.user(f"u{secrets.token_hex(4)}"), embedded_hub.user("bob")
    org = embedded_hub.org(anna, {"write": bob})
    new = f"o{secrets.token_hex(4)}"
    assert bob.call("PUT", f"/api/organizations/{org}/name", {"name": new}).status == 403
    assert anna.call("PUT", f"/api/organizations/{org}/name", {"name": "api"}).status == 400
    assert anna.call("PUT", f"/api/organizations/{org}/name", {"name": new}).status == 200
    moved = anna.call("GET", f"/api/organizations/{org}/members?search=a")
    assert (moved.status, moved.headers["location"]) == (
        307,
        f"/api/organizations/{new}/members?search=a",
    )
