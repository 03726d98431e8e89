"""Discussions by the real client: numbers, lists, comments, status, and who may change which."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from huggingface_hub import DiscussionComment, DiscussionTitleChange
from huggingface_hub.errors import HfHubHTTPError

from tests.support.hub import ThreadHub
from tests.support.person import Person


@pytest.fixture
def anna(live_hub: ThreadHub) -> Person:
    return live_hub.user("anna")


def comment_of(discussion: object) -> DiscussionComment:
    (comment,) = discussion.events  # type: ignore[attr-defined]
    assert isinstance(comment, DiscussionComment)
    return comment


@pytest.mark.parametrize("kind", ["model", "dataset", "space", "kernel"])
def test_a_discussion_of_every_kind_has_a_number_a_title_and_its_description(
    anna: Person, kind: str
) -> None:
    repo = anna.repo(kind=kind)
    if kind == "kernel":  # the client has no method for these
        target = f"/api/kernels/{repo}/discussions"
        assert anna.call("POST", target, {"title": "Which data?"}).json["num"] == 1
        assert anna.call("GET", f"{target}/1").json["title"] == "Which data?"
        return
    opened = anna.api.create_discussion(
        repo, "  Which data? ", description="And why", repo_type=kind
    )
    assert (opened.num, opened.title, opened.status) == (1, "Which data?", "open")
    assert (opened.author, opened.is_pull_request) == (anna.name, False)
    assert comment_of(opened).content == "And why"
    assert comment_of(opened).rendered == "<p>And why</p>"
    assert opened.url.endswith(f"{repo}/discussions/1")


def test_numbers_have_no_gap_when_many_open_discussions_at_once(
    anna: Person, live_hub: ThreadHub
) -> None:
    repo, bert = anna.repo(), live_hub.user("bert")
    people = [anna, bert] * 6

    def open_one(person: Person) -> int:
        return person.api.create_discussion(repo, "At once").num

    with ThreadPoolExecutor(6) as threads:
        numbers = list(threads.map(open_one, people))
    assert sorted(numbers) == list(range(1, 13))
    assert anna.call("POST", f"/api/models/{repo}/discussions", {"title": "x"}).status == 400
    assert anna.api.create_discussion(repo, "After a refusal").num == 13


def test_a_list_filters_searches_and_pages(anna: Person, live_hub: ThreadHub) -> None:
    repo, bert = anna.repo(), live_hub.user("bert")
    for number in range(1, 53):
        opener = bert if number == 7 else anna
        title = "A 100% odd_title" if number == 9 else f"Topic {number}"
        opener.api.create_discussion(repo, title)
    anna.api.change_discussion_status(repo, 3, "closed")
    found = list(anna.api.get_repo_discussions(repo))
    assert [each.num for each in found] == list(range(52, 0, -1))

    def numbers(query: str) -> list[int]:
        page = anna.call("GET", f"/api/models/{repo}/discussions?{query}").json
        assert page["count"] == len(page["discussions"]) or page["count"] > 50
        return [each["num"] for each in page["discussions"]]

    assert numbers("status=closed") == [3]
    assert numbers("p=1") == [2, 1]
    assert numbers("p=900") == []
    assert 3 not in numbers("status=open")
    assert numbers(f"author={bert.name}") == [7]
    assert numbers("author=nobody-here") == []
    assert numbers("type=pull_request") == []
    assert numbers("search=100%25%20ODD_") == [9]
    assert numbers("search=_x") == []
    anna.api.comment_discussion(repo, 5, "up")
    assert numbers("sort=trending")[:1] == [5]
    for query in ("type=x", "status=x", "sort=x", "p=-1", "search=" + "x" * 201):
        assert anna.call("GET", f"/api/models/{repo}/discussions?{query}").status == 400


def test_a_comment_is_edited_with_its_history_and_hidden_for_good(anna: Person) -> None:
    repo = anna.repo()
    anna.api.create_discussion(repo, "Title", description="first")
    comment = anna.api.comment_discussion(repo, 1, "secret <b>one</b>")
    assert comment.rendered == "<p>secret &lt;b&gt;one&lt;/b&gt;</p>"
    edited = anna.api.edit_discussion_comment(repo, 1, comment.id.upper(), "two")
    assert (edited.content, edited.edited, edited.number_of_edits) == ("two", True, 1)
    assert edited.edit_history[0]["raw"] == "secret <b>one</b>"
    assert edited.last_edited_by == anna.name
    with pytest.warns(UserWarning, match="irreversible"):
        hidden = anna.api.hide_discussion_comment(repo, 1, comment.id)
    assert (hidden.hidden, hidden.edit_history) == (True, [])
    body = anna.call("GET", f"/api/models/{repo}/discussions/1").body
    assert b"secret" not in body
    assert b'"two"' not in body
    again = anna.call(
        "POST", f"/api/models/{repo}/discussions/1/comment/{comment.id}/edit", {"content": "x"}
    )
    assert again.status == 403


def test_titles_and_statuses_are_events(anna: Person) -> None:
    repo = anna.repo()
    anna.api.create_discussion(repo, "Before", description="text")
    renamed = anna.api.rename_discussion(repo, 1, "After")
    assert (renamed.old_title, renamed.new_title) == ("Before", "After")
    closed = anna.api.change_discussion_status(repo, 1, "closed", comment="Done.")
    assert closed.new_status == "closed"
    details = anna.api.get_discussion_details(repo, 1)
    assert (details.title, details.status) == ("After", "closed")
    assert [event.type for event in details.events] == [
        "comment",
        "title-change",
        "status-change",
        "comment",
    ]
    assert isinstance(details.events[1], DiscussionTitleChange)
    assert details.events[2]._event["data"]["reason"] == "Done."
    with pytest.raises(HfHubHTTPError) as refused:
        anna.api.change_discussion_status(repo, 1, "closed")
    assert refused.value.response.status_code == 409
    assert anna.api.change_discussion_status(repo, 1, "open").new_status == "open"


def test_readers_discuss_and_change_only_what_is_theirs(anna: Person, live_hub: ThreadHub) -> None:
    repo, bert, carl = anna.repo(), live_hub.user("bert"), live_hub.user("carl")
    bert.api.create_discussion(repo, "By a reader", description="mine")
    first = comment_of(bert.api.get_discussion_details(repo, 1))
    base = f"/api/models/{repo}/discussions/1"
    changes: list[tuple[str, dict[str, object]]] = [
        ("title", {"title": "Taken over"}),
        ("status", {"status": "closed"}),
        (f"comment/{first.id}/edit", {"content": "x"}),
        (f"comment/{first.id}/hide", {}),
        ("pin", {"pinned": True}),
        ("lock", {"locked": True}),
    ]
    for verb, body in changes:
        assert carl.call("POST", f"{base}/{verb}", body).status == 403, verb
        assert live_hub.call("POST", f"{base}/{verb}", body).status == 401, verb
        read_only = anna.with_token("read")
        assert read_only.call("POST", f"{base}/{verb}", body).status == 403, verb
    assert [bert.call("POST", f"{base}/{v}", b).status for v, b in changes[4:]] == [403, 403]
    assert carl.call("DELETE", base).status == 403
    assert bert.api.rename_discussion(repo, 1, "By its author").new_title == "By its author"
    assert anna.api.edit_discussion_comment(repo, 1, first.id, "moderated").content == "moderated"
    assert bert.call("POST", f"{base}/comment", {"comment": ""}).status == 400
    assert bert.call("POST", f"{base}/comment", {"comment": "x" * 65_537}).status == 400
    assert bert.call("POST", f"{base}/comment", {"comment": "x" * 65_536}).status == 201


def test_a_locked_discussion_takes_comments_of_writers_only(
    anna: Person, live_hub: ThreadHub
) -> None:
    repo, bert = anna.repo(), live_hub.user("bert")
    bert.api.create_discussion(repo, "Heated")
    base = f"/api/models/{repo}/discussions/1"
    assert anna.call("POST", f"{base}/lock", {"locked": True}).json == {"locked": True}
    assert anna.call("POST", f"{base}/pin", {"pinned": True}).json == {"pinned": True}
    assert bert.call("POST", f"{base}/comment", {"comment": "x"}).status == 403
    assert bert.call("POST", f"{base}/title", {"title": "Other"}).status == 403
    assert anna.call("POST", f"{base}/comment", {"comment": "Stop."}).status == 201
    details = anna.call("GET", base).json
    assert (details["locked"], details["pinned"]) == (True, True)
    types = [event["type"] for event in details["events"]][1:]
    assert types == ["locking-change", "pinning-change", "comment"]


def test_a_deleted_discussion_is_gone_and_its_number_stays_taken(
    anna: Person, live_hub: ThreadHub
) -> None:
    repo, bert = anna.repo(), live_hub.user("bert")
    bert.api.create_discussion(repo, "Unwanted words")
    base = f"/api/models/{repo}/discussions"
    assert bert.call("DELETE", f"{base}/1").status == 403
    assert anna.call("DELETE", f"{base}/1").status == 200
    for method, verb in (("GET", ""), ("POST", "/comment"), ("DELETE", "")):
        body = {"comment": "x"} if verb else None
        assert anna.call(method, f"{base}/1{verb}", body).status == 404
    assert anna.call("GET", base).json["count"] == 0
    assert b"Unwanted" not in anna.call("GET", base).body
    assert anna.api.create_discussion(repo, "Next one").num == 2


def test_numbers_and_ids_that_do_not_exist_are_not_found(anna: Person) -> None:
    repo, other = anna.repo("one"), anna.repo("two")
    anna.api.create_discussion(repo, "Title", description="x")
    anna.api.create_discussion(other, "Title", description="x")
    foreign = comment_of(anna.api.get_discussion_details(other, 1)).id
    base = f"/api/models/{repo}/discussions"
    for number in ("0", "2", "-1", "x", "1.0", "99999999999", "4294967297"):
        assert anna.call("GET", f"{base}/{number}").status == 404, number
    for comment in (foreign, "0" * 24, "zz"):
        target = f"{base}/1/comment/{comment}/hide"
        assert anna.call("POST", target, {}).status == 404
    for body in ({}, {"title": "ab"}, {"title": "x" * 201}, {"title": "a\0bc"}, {"title": None}):
        assert anna.call("POST", base, body).status == 400, body


def test_an_administrator_switches_discussions_off(anna: Person, live_hub: ThreadHub) -> None:
    repo, bert = anna.repo(), live_hub.user("bert")
    bert.api.create_discussion(repo, "Title")
    settings = f"/api/models/{repo}/settings"
    assert anna.call("PUT", settings, {"discussionsDisabled": True}).status == 200
    base = f"/api/models/{repo}/discussions"
    for person in (anna, bert):
        assert person.call("GET", base).status == 403
        assert person.call("GET", f"{base}/1").status == 403
        response = person.call("POST", base, {"title": "Another"})
        assert (response.status, "disabled" in str(response.message)) == (403, True)
        assert person.call("POST", f"{base}/1/comment", {"comment": "x"}).status == 403
    assert anna.call("PUT", settings, {"discussionsDisabled": False}).status == 200
    assert bert.call("POST", f"{base}/1/comment", {"comment": "x"}).status == 201


def test_the_texts_of_a_deleted_account_stay_without_an_author(
    anna: Person, live_hub: ThreadHub
) -> None:
    from hubstead.accounts import delete_account

    repo, bert = anna.repo(), live_hub.user("bert")
    bert.api.create_discussion(repo, "Title", description="text")
    live_hub.run(delete_account(live_hub.db, bert.name, "user"))
    details = anna.api.get_discussion_details(repo, 1)
    assert (details.author, comment_of(details).author) == ("deleted", "deleted")
    assert "author" not in anna.call("GET", f"/api/models/{repo}/discussions/1").json
