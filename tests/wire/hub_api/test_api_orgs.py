"""The view of an organization for each caller over HTTP."""

from __future__ import annotations

import pytest
from tests.support.hub import ThreadHub


def test_an_organization_shows_roles_to_its_administrators_and_lists_to_its_members(
    live_hub: ThreadHub,
) -> None:
    owner, bert, stranger = (live_hub.user(name) for name in ("anna", "bert", "carl"))
    name = live_hub.org(owner, {"read": bert})
    owner.api.create_repo(f"{name}/hidden", private=True)
    tokens = {"owner": owner.token, "member": bert.token, "stranger": stranger.token, "none": ""}
    for caller, token in tokens.items():
        overview = live_hub.call("GET", f"/api/organizations/{name}/overview", token=token).json
        inside = caller in ("owner", "member")
        assert (overview["numUsers"], overview["numModels"]) == (2, 1 if inside else 0)
        members = live_hub.call("GET", f"/api/organizations/{name}/members", token=token).json
        assert [member["user"] for member in members] == [owner.name, bert.name]
        roles = ["admin", "read"] if caller == "owner" else [None, None]
        assert [member.get("role") for member in members] == roles, caller
        target = f"/api/organizations/{name}/settings/repositories"
        response = live_hub.call("GET", target, token=token)
        assert response.status == {"stranger": 404, "none": 401}.get(caller, 200)
        if inside:
            assert [row["id"] for row in response.json] == [f"{name}/hidden"]


@pytest.mark.parametrize("path", ["overview", "members", "settings/repositories"])
def test_a_user_or_an_absent_name_is_not_an_organization(live_hub: ThreadHub, path: str) -> None:
    anna = live_hub.user("anna")
    responses = [
        anna.call("GET", f"/api/organizations/{name}/{path}") for name in (anna.name, "absent-org")
    ]
    assert [response.status for response in responses] == [404, 404]
    assert {response.code for response in responses} == {responses[0].code}
