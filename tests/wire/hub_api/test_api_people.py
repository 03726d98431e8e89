"""Users and organizations over HTTP: overviews, followers, profiles, search."""

from __future__ import annotations

from tests.support.hub import ThreadHub


def test_a_user_follows_users_and_organizations(live_hub: ThreadHub) -> None:
    anna, bert, carl = (live_hub.user(name) for name in ("anna", "bert", "carl"))
    org = live_hub.org(carl, {})
    for target in (f"users/{bert.name}", f"users/{bert.name}", f"organizations/{org}"):
        assert anna.call("POST", f"/api/{target}/follow").status == 200
    assert carl.call("POST", f"/api/users/{bert.name}/follow").status == 200
    followers = list(anna.api.list_user_followers(bert.name))
    assert [user.username for user in followers] == [carl.name, anna.name]
    assert [user.username for user in anna.api.list_user_following(anna.name)] == [bert.name]
    assert [user.username for user in anna.api.list_organization_followers(org)] == [anna.name]
    overview = anna.api.get_user_overview(bert.name)
    assert (overview.num_followers, overview.num_following) == (2, 0)
    assert overview.is_following is True
    assert carl.api.get_user_overview(anna.name).is_following is False
    assert live_hub.api().get_user_overview(bert.name).is_following is None
    assert anna.api.get_user_overview(anna.name).num_following == 1
    shown = anna.api.get_organization_overview(org)
    assert (shown.num_followers, shown.is_following, shown.num_users) == (1, True, 1)
    for _ in range(2):
        assert anna.call("DELETE", f"/api/users/{bert.name}/follow").status == 200
    assert anna.api.get_user_overview(bert.name).num_followers == 1


def test_following_needs_another_account_and_a_token_that_writes(embedded_hub: ThreadHub) -> None:
    anna, bert = embedded_hub.user("anna"), embedded_hub.user("bert")
    assert anna.call("POST", f"/api/users/{anna.name}/follow").status == 400
    assert anna.call("POST", "/api/users/nobody-at-all/follow").status == 404
    assert anna.call("POST", f"/api/organizations/{bert.name}/follow").status == 404
    reader = anna.with_token("read")
    assert reader.call("POST", f"/api/users/{bert.name}/follow").status == 403
    assert embedded_hub.call("POST", f"/api/users/{bert.name}/follow", token="").status == 401
    assert list(anna.api.list_user_followers(bert.name)) == []


def test_pages_of_followers_follow_one_another(embedded_hub: ThreadHub) -> None:
    anna, *fans = (embedded_hub.user("fan") for _ in range(4))
    for fan in fans:
        fan.call("POST", f"/api/users/{anna.name}/follow")
    target, names = f"/api/users/{anna.name}/followers?limit=2", []
    for size in (2, 1):
        response = embedded_hub.call("GET", target)
        names += [row["user"] for row in response.json]
        assert len(response.json) == size
        target = response.headers.get("link", "").partition(">")[0][1 + len(embedded_hub.url) :]
    assert names == [fan.name for fan in fans[::-1]]
    assert target == ""


def test_an_account_and_the_administrators_of_an_organization_change_profiles(
    live_hub: ThreadHub,
) -> None:
    anna, bert = live_hub.user("anna"), live_hub.user("bert")
    org = live_hub.org(anna, {"write": bert})
    profile = {"fullname": "Ann A.", "details": "Trees", "socialHandles": {"github": "ann"}}
    for target in (f"/api/users/{anna.name}", f"/api/organizations/{org}"):
        assert anna.call("PUT", f"{target}/profile", profile).status == 200
        assert bert.call("PUT", f"{target}/profile", profile).status == 403
        assert live_hub.call("PUT", f"{target}/profile", profile, token="").status == 401
        socials = bert.call("GET", f"{target}/socials").json
        assert socials["socialHandles"] == {"github": "ann"}
        assert anna.call("PUT", f"{target}/profile", {"socialHandles": {"x": "a"}}).status == 400
        assert anna.call("PUT", f"{target}/profile", {"details": "a" * 1001}).status == 400
    assert anna.call("PUT", f"/api/users/{anna.name}/profile", {"details": ""}).status == 200
    user, shown = bert.api.get_user_overview(anna.name), bert.api.get_organization_overview(org)
    assert (user.fullname, user.details) == ("Ann A.", None)
    assert (shown.fullname, shown.details) == ("Ann A.", "Trees")


def test_overviews_count_what_the_caller_may_see(live_hub: ThreadHub) -> None:
    anna, bert = live_hub.user("anna"), live_hub.user("bert")
    org = live_hub.org(anna, {"read": bert})
    anna.repo("shown")
    anna.repo("hidden", private=True)
    overviews = [api.get_user_overview(anna.name) for api in (anna.api, bert.api)]
    assert [overview.num_models for overview in overviews] == [2, 1]
    assert [shown.name for shown in overviews[1].orgs] == [org]
    members = bert.api.list_organization_members(org)
    assert [member.username for member in members] == [anna.name, bert.name]


def test_quick_search_names_users_organizations_and_visible_repositories(
    live_hub: ThreadHub,
) -> None:
    anna, bert = live_hub.user("anna"), live_hub.user("bert")
    word = anna.name
    org = live_hub.org(anna, {})
    anna.repo("shown")
    anna.repo("hidden", private=True)
    for person, models in ((anna, 2), (bert, 1)):
        answer = person.call("GET", f"/api/quicksearch?q={word}").json
        assert [user["user"] for user in answer["users"]] == [anna.name]
        assert (len(answer["models"]), answer["modelsCount"]) == (models, models)
    answer = bert.call("POST", "/api/quicksearch", {"q": org, "type": ["org"]}).json
    assert [row["name"] for row in answer["orgs"]] == [org]
    assert answer.keys() == {"orgs", "orgsCount"}
    for text in ("", "%25", "%00", "_"):
        answer = bert.call("GET", f"/api/quicksearch?q={text}&limit=3").json
        assert answer["users"] == [], text
