"""Likes over HTTP: by the client's own methods, counted everywhere alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from huggingface_hub.errors import RepositoryNotFoundError
from tests.support.hub import ThreadHub
from tests.support.person import Person


def like(person: Person, repo_id: str, kind: str = "models") -> int:
    return person.call("POST", f"/api/{kind}/{repo_id}/like").status


def count(person: Person, repo_id: str) -> int:
    likes = person.api.model_info(repo_id, expand=["likes"]).likes
    assert likes is not None
    (listed,) = person.api.list_models(author=repo_id.partition("/")[0], search="bert")
    assert (listed.likes, person.api.model_info(repo_id).likes) == (likes, likes)
    return likes


def test_a_like_counts_once_until_the_client_withdraws_it(live_hub: ThreadHub) -> None:
    anna, bert = live_hub.user("anna"), live_hub.user("bert")
    repo_id = anna.repo()
    assert [like(bert, repo_id), like(bert, repo_id), like(anna, repo_id)] == [200, 200, 200]
    assert count(anna, repo_id) == 2
    likers = list(bert.api.list_repo_likers(repo_id))
    assert [user.username for user in likers] == [anna.name, bert.name]
    assert likers[0].fullname
    assert likers[0].avatar_url
    bert.api.unlike(repo_id)
    bert.api.unlike(repo_id)
    assert count(anna, repo_id) == 1
    anna.api.delete_repo(repo_id)
    with pytest.raises(RepositoryNotFoundError):
        bert.api.unlike(repo_id)
    assert anna.api.list_liked_repos().total == 0


@pytest.mark.shape_matters
def test_likes_at_once_are_counted_exactly(live_hub: ThreadHub) -> None:
    anna = live_hub.user("anna")
    repo_id = anna.repo()
    people = [live_hub.user("fan") for _ in range(6)]
    target = f"/api/models/{repo_id}/like"
    calls = [(person, "POST") for person in people for _ in range(3)]
    calls += [(person, method) for person in people[:2] for method in ("POST", "DELETE")]
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda call: call[0].call(call[1], target).status, calls)
        assert set(answers) == {200}
    likers = {user.username for user in anna.api.list_repo_likers(repo_id)}
    assert likers >= {person.name for person in people[2:]}
    assert count(anna, repo_id) == len(likers)


def test_liked_repositories_of_every_kind_are_those_that_the_caller_may_see(
    live_hub: ThreadHub,
) -> None:
    anna, bert = live_hub.user("anna"), live_hub.user("bert")
    repos = {kind: anna.repo(kind, kind) for kind in ("model", "dataset", "space", "kernel")}
    hidden = anna.repo("hidden", private=True)
    for kind, repo_id in repos.items():
        assert like(anna, repo_id, f"{kind}s") == 200
    assert like(anna, hidden) == 200
    own, other = anna.api.list_liked_repos(), bert.api.list_liked_repos(anna.name)
    assert (own.total, other.total) == (5, 4)
    assert own.models == [hidden, repos["model"]]
    assert (other.models, other.datasets) == ([repos["model"]], [repos["dataset"]])
    assert (other.spaces, other.kernels) == ([repos["space"]], [repos["kernel"]])
    assert live_hub.api().list_liked_repos(anna.name).total == 4
    likes = [api.get_user_overview(anna.name).num_likes for api in (anna.api, bert.api)]
    assert likes == [5, 4]
    anna.api.update_repo_settings(repos["model"], private=True)
    assert bert.api.list_liked_repos(anna.name).models == []


def test_pages_of_likes_follow_one_another_and_their_cursors_tell_no_number(
    embedded_hub: ThreadHub,
) -> None:
    anna = embedded_hub.user("anna")
    repo_id = anna.repo()
    people = [embedded_hub.user("fan") for _ in range(3)]
    for person in people:
        like(person, repo_id)
    for target, names in (
        (f"/api/models/{repo_id}/likers", [person.name for person in people[::-1]]),
        (f"/api/users/{people[0].name}/likes", [repo_id]),
    ):
        listed, url = [], f"{target}?limit=1"
        while url:
            response = embedded_hub.call("GET", url)
            (row,) = response.json
            listed.append(row.get("user") or row["repo"]["name"])
            link = response.headers.get("link", "")
            url = link.partition(">")[0].removeprefix(f"<{embedded_hub.url}") if link else ""
            if len(listed) == len(names) and url:
                assert embedded_hub.call("GET", url).json == []
                break
        assert listed == names
    for cursor in ("x", "1.2"):
        refused = embedded_hub.call("GET", f"/api/models/{repo_id}/likers?cursor={cursor}")
        assert refused.status == 400


def test_a_hidden_repository_is_as_absent_and_a_like_needs_a_token_that_writes(
    embedded_hub: ThreadHub,
) -> None:
    anna, bert = embedded_hub.user("anna"), embedded_hub.user("bert")
    hidden, shown = anna.repo("hidden", private=True), anna.repo("shown")
    assert like(bert, hidden) == 404
    assert like(bert.with_token("read"), shown) == 403
    assert embedded_hub.call("POST", f"/api/models/{shown}/like", token="").status == 401
    assert anna.api.model_info(hidden).likes == 0


def test_models_are_listed_by_likes(embedded_hub: ThreadHub) -> None:
    anna, bert = embedded_hub.user("anna"), embedded_hub.user("bert")
    first, second, third = (anna.repo(name) for name in ("a", "b", "c"))
    for person, repo_id in ((anna, second), (bert, second), (anna, third)):
        like(person, repo_id)
    listed = anna.api.list_models(author=anna.name, sort="likes")
    assert [(model.id, model.likes) for model in listed] == [(second, 2), (third, 1), (first, 0)]
