"""Facts about a model from the headers of its files."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from huggingface_hub import CommitOperationCopy
from sqlalchemy import func, select
from tests.support.hub import ThreadHub
from tests.support.models import CHATML, commit_models, llama, safetensors
from tests.support.person import Person
from tests.support.rows import reading

from hubstead.accounts import Actor
from hubstead.facts import GGUF, ModelFile, list_model_files
from hubstead.facts.tables import file_facts
from hubstead.ids import Kind, RepoId
from hubstead.repos import open_repo

COUNT = reading(
    select(func.count().label("rows")).select_from(file_facts).where(file_facts.c.reader > 0)
)


def info(caller: Person | ThreadHub, repo: str, query: str = "") -> dict[str, Any]:
    response = caller.call("GET", f"/api/models/{repo}{query}")
    assert response.status == 200, response.body
    facts: dict[str, Any] = response.json
    return facts


def count(hub: ThreadHub) -> int:
    """Return the number of files with facts, empty ones included."""
    (number,) = hub.run(hub.db.single(COUNT))
    return int(number)


def own() -> bytes:
    """Return a GGUF file whose bytes no other test has."""
    return llama(data=secrets.token_bytes(40))


def test_info_has_the_facts_of_gguf(live_hub: ThreadHub) -> None:
    anna = live_hub.user("anna")
    repo = anna.repo()
    commit_models(
        anna, repo, {"t-Q8_0.gguf": own(), "t-Q4_K_M.gguf": own(), "mmproj-F16.gguf": b"GGUF"}
    )
    assert anna.api.model_info(repo).gguf == {
        "total": 64 * 420,
        "architecture": "llama",
        "context_length": 4096,
        "chat_template": CHATML,
        "bos_token": "<s>",
        "eos_token": "</s>",
    }
    assert "safetensors" not in info(live_hub, repo)
    assert set(info(live_hub, repo, "?expand=gguf")) == {"_id", "id", "gguf"}
    assert "gguf" not in info(live_hub, repo, "?expand=likes")


def test_info_has_the_parameters_of_safetensors(live_hub: ThreadHub) -> None:
    anna = live_hub.user("anna")
    repo = anna.repo()
    weights = safetensors({"a": ("F32", (7, 11)), "b": ("BF16", (3,))}, {"x": secrets.token_hex()})
    commit_models(anna, repo, {"model.safetensors": weights, "other.safetensors": b"no header"})
    parameters = anna.api.model_info(repo).safetensors
    assert parameters is not None
    assert (parameters.parameters, parameters.total) == ({"F32": 77, "BF16": 3}, 80)
    listed = anna.call("GET", f"/api/models?author={anna.name}&expand=safetensors").json
    assert [item["safetensors"]["total"] for item in listed] == [80]


def test_parameters_of_shards_are_summed(live_hub: ThreadHub) -> None:
    anna = live_hub.user("anna")
    repo = anna.repo()
    files = {
        f"model-0000{n}-of-00002.safetensors": safetensors({f"t{n}": ("F16", (n, 10))})
        for n in (1, 2)
    }
    commit_models(
        anna, repo, {**files, "t-00001-of-00002.gguf": own(), "t-00002-of-00002.gguf": own()}
    )
    facts = info(live_hub, repo)
    assert facts["safetensors"] == {"parameters": {"F16": 30}, "total": 30}
    assert facts["gguf"]["total"] == 2 * 64 * 420
    first = commit_models(anna, repo, {"model-00003-of-00003.safetensors": safetensors({})})
    assert "safetensors" not in info(live_hub, repo, f"?revision={first}")


def test_a_header_is_read_once_for_all_repositories(live_hub: ThreadHub) -> None:
    anna = live_hub.user("anna")
    one, other = anna.repo("one"), anna.repo("other")
    model = own()
    commit_models(anna, one, {"t.gguf": model})
    before = count(live_hub)
    assert info(live_hub, one)["gguf"]["total"] == 64 * 420
    commit_models(anna, other, {"sub/renamed.gguf": model})
    assert info(live_hub, other)["gguf"]["total"] == 64 * 420
    assert count(live_hub) == before + 1


def test_an_unreadable_header_is_no_error_and_is_not_read_again(live_hub: ThreadHub) -> None:
    anna = live_hub.user("anna")
    repo = anna.repo()
    broken = b"GGUF" + secrets.token_bytes(50)
    commit_models(anna, repo, {"t.gguf": broken, "model.safetensors": secrets.token_bytes(99)})
    before = count(live_hub)
    for _ in range(2):
        facts = info(live_hub, repo)
        assert "gguf" not in facts
        assert "safetensors" not in facts
    assert count(live_hub) == before + 2


def test_files_in_git_have_facts_too(live_hub: ThreadHub) -> None:
    anna = live_hub.user("anna")
    repo = anna.repo()
    commit_models(anna, repo, {"t.gguf": own()}, attributes=b"* !filter\n")
    listed = anna.call("GET", f"/api/models/{repo}/tree/main").json
    assert all("lfs" not in item for item in listed)
    assert info(live_hub, repo)["gguf"]["architecture"] == "llama"


def test_an_object_of_another_repository_has_no_facts_here(live_hub: ThreadHub) -> None:
    anna, eve = live_hub.user("anna"), live_hub.user("eve")
    secret, guess = anna.repo("secret", private=True), eve.repo("guess")
    commit_models(anna, secret, {"t.gguf": own()})
    assert "gguf" in info(anna, secret)

    async def read(owner: Person, name: str, files: list[ModelFile]) -> tuple[list[ModelFile], int]:
        hub = live_hub.hub
        actor = Actor(pk=owner.pk, name=owner.name)
        repo = await open_repo(hub.db, actor, RepoId.parse(Kind.MODEL, name))
        git = await hub.stores.open_git(repo)
        files = files or list_model_files(git, repo.head or "")
        return files, len(await hub.facts.read(repo.pk, git, GGUF, files))

    files, count_here = live_hub.run(read(anna, secret, []))
    assert (len(files), count_here) == (1, 1)
    assert live_hub.run(read(eve, guess, files))[1] == 0


def test_a_copy_has_the_facts_of_its_source(live_hub: ThreadHub) -> None:
    anna = live_hub.user("anna")
    repo = anna.repo()
    commit_models(anna, repo, {"t-Q8_0.gguf": own()})
    copy = CommitOperationCopy("t-Q8_0.gguf", "sub/t-Q4_K_M.gguf")
    anna.api.create_commit(repo, [copy], commit_message="copy")
    assert info(live_hub, repo)["gguf"]["total"] == 64 * 420


@pytest.mark.parametrize("query", ["", "/revision/{first}"])
def test_info_takes_the_revision_from_the_query(live_hub: ThreadHub, query: str) -> None:
    anna = live_hub.user("anna")
    repo = anna.repo()
    first = commit_models(anna, repo, {"t-Q8_0.gguf": own()})
    second = commit_models(anna, repo, {"more.txt": b"text"})
    assert info(live_hub, repo)["sha"] == second
    path = query.format(first=first)
    revision = first if not path else second
    facts = info(live_hub, repo, f"{path}?revision={revision}")
    assert facts["sha"] == first
    assert live_hub.call("GET", f"/api/models/{repo}?revision=nope").status == 404


def test_a_scan_reports_that_none_was_done(live_hub: ThreadHub) -> None:
    anna = live_hub.user("anna")
    repo = anna.repo(private=True)
    response = anna.call("GET", f"/api/models/{repo}/scan")
    assert (response.status, response.json) == (200, {"scansDone": False, "filesWithIssues": []})
    assert live_hub.call("GET", f"/api/models/{repo}/scan").status == 401


def test_a_recursive_tree_without_a_limit_is_one_long_page(live_hub: ThreadHub) -> None:
    anna = live_hub.user("anna")
    repo = anna.repo()
    lines = [
        {"key": "file", "value": {"path": f"many/{number:04}", "content": str(number)}}
        for number in range(1200)
    ]
    assert anna.commit(repo, *lines).status == 200
    commit_models(anna, repo, {"z/last.gguf": own()})
    tree = f"/api/models/{repo}/tree/main"
    whole = anna.call("GET", f"{tree}?recursive=true")
    assert "link" not in whole.headers
    assert [item["path"] for item in whole.json][-1] == "z/last.gguf"
    assert b'"type":"file"' in whole.body
    limited = anna.call("GET", f"{tree}?recursive=true&limit=2000")
    assert len(limited.json) == 1000
    assert limited.headers["link"].endswith('>; rel="next"')
    assert len(anna.call("GET", f"{tree}/many").json) == 1000
    assert len(anna.call("GET", f"{tree}?recursive=true&expand=true").json) == 100
    listed = anna.api.list_repo_tree(repo, recursive=True)
    assert [item.path for item in listed] == [item["path"] for item in whole.json]


def test_the_pages_of_a_long_recursive_tree_are_as_long_as_the_setting(
    own_hub: Callable[..., ThreadHub],
) -> None:
    hub = own_hub(max_recursive_page=7)
    anna = hub.user("anna")
    repo = anna.repo()
    lines = [{"key": "file", "value": {"path": f"f{n:02}", "content": "x"}} for n in range(20)]
    assert anna.commit(repo, *lines).status == 200
    paths, sizes, target = [], [], f"/api/models/{repo}/tree/main?recursive=true"
    while target:
        page = anna.call("GET", target)
        sizes.append(len(page.json))
        paths += [item["path"] for item in page.json]
        target = page.headers.get("link", "").partition(">")[0].removeprefix(f"<{hub.url}")
    assert sizes == [7, 7, 7]
    assert paths == sorted(paths)
    assert len(set(paths)) == 21
