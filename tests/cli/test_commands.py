"""The command line, as users and programs run it."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import re
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from hubstead.cli.root import COMMANDS, root
from tests.support.command import hubstead, json_of
from tests.support.hub import ProcessHub, running_hub

pytestmark = pytest.mark.long  # every command is a process of its own


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessHub]:
    with running_hub(tmp_path_factory.mktemp("served") / "data") as hub:
        yield hub


def ok(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stderr
    return result.stdout


def whoami(hub: ProcessHub, authorization: str) -> int:
    request = urllib.request.Request(
        f"{hub.url}/api/whoami-v2", headers={"Authorization": authorization}
    )
    try:
        with urllib.request.urlopen(request) as response:
            return int(response.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_the_lines_of_the_greeting_can_be_pasted(tmp_path: Path) -> None:
    with running_hub(tmp_path / "it's here") as hub:
        exports = [line.strip() for line in hub.greeting if "export" in line]
    shell = ["sh", "-c", f'{exports[0]}; {exports[1]}; echo "$HF_ENDPOINT $HF_TOKEN"']
    result = subprocess.run(shell, cwd="/", capture_output=True, text=True, check=True)
    assert result.stdout == f"{hub.url} {hub.token}\n"


def test_a_program_that_starts_a_hub_reads_its_address(tmp_path: Path) -> None:
    with running_hub(tmp_path / "data", options=["--json"]) as hub:
        assert json.loads(*hub.greeting) == {"url": hub.url, "token": hub.token}


def test_help_lists_every_command_without_loading_any() -> None:
    code = (
        "import sys; from hubstead.cli import main; sys.argv=['hubstead','--help']\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "print([name for name in sys.modules if name.startswith(('sqlalchemy','pygit2'))])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    for name in COMMANDS:
        assert f"\n  {name} " in result.stdout
    assert result.stdout.endswith("[]\n")


@pytest.mark.parametrize("group", COMMANDS)
def test_every_command_in_the_table_can_be_loaded(group: str) -> None:
    loaded = root.get_command(click.Context(root), group)
    assert loaded is not None
    assert loaded.name == group
    for command in commands_of(loaded):
        names = {name for param in command.params for name in param.opts}
        assert {"--data", "--settings", "--json"} <= names, command.name


def commands_of(command: click.Command) -> list[click.Command]:
    return list(command.commands.values()) if isinstance(command, click.Group) else [command]


@pytest.mark.parametrize("group", COMMANDS)
def test_the_help_of_every_command_lists_its_exit_statuses(group: str) -> None:
    loaded = root.get_command(click.Context(root), group)
    assert loaded is not None
    for command in commands_of(loaded):
        _, listed, statuses = (command.help or "").partition("Exit status: ")
        assert listed, command.name
        assert re.match(r"0 .*; 1 .*; 2 ", " ".join(statuses.split())), command.name


def test_the_first_user_creates_the_database_which_only_its_owner_may_read(data: Path) -> None:
    facts = ("--email", "ada@example.com", "--fullname", "Ada L", "--admin")
    result = json_of("user", "create", "Ada", *facts, data=data)
    assert (result["name"], result["email"], result["admin"]) == ("Ada", "ada@example.com", True)
    assert data.stat().st_mode & 0o077 == 0
    (listed,) = json_of("user", "list", data=data)
    assert listed == result
    table = ok(hubstead("user", "list", data=data)).splitlines()
    assert table[0].split() == ["NAME", "FULLNAME", "EMAIL", "ADMIN", "DISABLED", "CREATED"]
    assert table[1].index("ada@example.com") == table[0].index("EMAIL")
    taken = hubstead("user", "create", "ada", data=data)
    assert taken.returncode == 1
    assert taken.stderr.startswith("hubstead: The name 'ada' is taken")


def test_read_only_commands_create_no_database(data: Path) -> None:
    result = hubstead("user", "list", data=data)
    assert result.returncode == 1
    assert result.stderr == f"hubstead: there is no database at {data / 'hubstead.db'}\n"
    assert not data.exists()


def test_faults_in_settings_and_usage_have_distinct_statuses(data: Path) -> None:
    bad = hubstead("jobs", data=data, HUBSTEAD_PORT="x")
    assert bad.returncode == 1
    assert bad.stderr == "hubstead: port (HUBSTEAD_PORT): 'x' is not a whole number\n"
    assert hubstead("user", "creat", data=data).returncode == 2
    assert hubstead("org", "add", "a", "b", data=data).returncode == 2


def test_settings_show_value_help_and_origin_and_warnings_and_hide_secrets(data: Path) -> None:
    variables = {"S3_SECRET_KEY": "verysecret", "PORT": "9", "PUBLIC_URL": "https://HUB:443/"}
    result = hubstead(
        "settings", "--json", data=data, **{f"HUBSTEAD_{name}": v for name, v in variables.items()}
    )
    described = {setting["name"]: setting for setting in json.loads(ok(result))}
    assert described["port"]["value"] == "9"
    assert described["port"]["origin"] == "environment"
    assert described["public_url"]["value"] == "https://hub"
    assert result.stderr.startswith("hubstead: warning: public_url is https://hub, which needs a")
    assert described["data"]["origin"] == "option"
    assert described["host"]["help"]
    assert "verysecret" not in result.stdout


def test_a_token_created_beside_a_running_hub_is_valid_at_once_until_it_is_revoked(
    served: ProcessHub,
) -> None:
    data = served.data
    ok(hubstead("user", "create", "ada", data=data))
    token = ok(hubstead("token", "create", "ada", "--name", "laptop", data=data)).strip()
    assert token.startswith("hf_")
    assert whoami(served, f"Bearer {token}") == 200
    listed = hubstead("token", "list", "ada", "--json", data=data)
    (row,) = json.loads(ok(listed))
    assert (row["name"], row["role"], row["ends_in"]) == ("laptop", "write", token[-4:])
    assert token not in listed.stdout
    ok(hubstead("user", "disable", "ada", data=data))
    assert whoami(served, f"Bearer {token}") == 401
    ok(hubstead("user", "enable", "ada", data=data))
    assert whoami(served, f"Bearer {token}") == 200
    ok(hubstead("token", "revoke", row["id"], data=data))
    assert whoami(served, f"Bearer {token}") == 401


def test_secrets_come_from_standard_input_and_are_never_printed(served: ProcessHub) -> None:
    data = served.data
    result = hubstead("user", "create", "bob", "--password", "-", data=data, stdin="pass word\n")
    assert "pass word" not in ok(result)
    basic = base64.b64encode(b"bob:pass word").decode()
    assert whoami(served, f"Basic {basic}") == 200
    old = "my-old_token.of:any+form"
    result = hubstead("token", "create", "bob", "--value", "-", "--json", data=data, stdin=old)
    assert old not in ok(result) + result.stderr
    assert "token" not in json.loads(result.stdout)
    assert whoami(served, f"Bearer {old}") == 200
    ok(hubstead("token", "revoke", "-", data=data, stdin=old))
    assert whoami(served, f"Bearer {old}") == 401
    ok(hubstead("user", "set-password", "bob", "--password", "-", data=data, stdin="new\n"))
    assert whoami(served, f"Basic {basic}") == 401
    nothing = hubstead("token", "create", "bob", "--value", "-", data=data)
    assert nothing.returncode == 2


def test_organizations_have_members_with_roles(served: ProcessHub) -> None:
    data = served.data
    ok(hubstead("user", "create", "carol", data=data))
    json_of("org", "create", "acme", "--owner", "admin", data=data)
    added = json_of("org", "add", "acme", "carol", "--role", "write", data=data)
    assert added == {"org": "acme", "user": "carol", "role": "write"}
    (org,) = json_of("org", "list", data=data)
    assert org["members"] == {"admin": "admin", "carol": "write"}
    ok(hubstead("org", "remove", "acme", "carol", data=data))
    again = hubstead("org", "remove", "acme", "carol", data=data)
    assert (again.returncode, again.stderr) == (1, "hubstead: carol is not in acme\n")
    ok(hubstead("org", "delete", "acme", data=data))
    assert json_of("org", "list", data=data) == []


def test_users_and_organizations_are_renamed_with_their_repositories(served: ProcessHub) -> None:
    from huggingface_hub import HfApi

    data = served.data
    api = HfApi(endpoint=served.url, token=served.token)
    ok(hubstead("user", "create", "dora", data=data))
    json_of("org", "create", "works", "--owner", "admin", data=data)
    api.create_repo("works/bert")
    renamed = json_of("org", "rename", "Works", "Labs", data=data)
    assert (renamed["name"], renamed["was"]) == ("Labs", "Works")
    assert [org["name"] for org in json_of("org", "list", data=data)] == ["Labs"]
    assert api.repo_info("works/bert").id == api.repo_info("Labs/bert").id == "Labs/bert"
    ok(hubstead("repo", "delete", "Labs/bert", data=data))
    ok(hubstead("org", "delete", "Labs", data=data))  # other tests delete its last administrator
    changed = hubstead("user", "rename", "dora", "Thea", data=data)
    assert ok(changed).splitlines()[0] == "The user dora is now called Thea."
    names = [user["name"] for user in json_of("user", "list", data=data)]
    assert "Thea" in names
    assert "dora" not in names


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("user", "rename", "admin", "api"), "'api'"),
        (("user", "rename", "admin", "taken"), "The name 'taken' is taken"),
        (("org", "rename", "admin", "new"), "hubstead: "),
        (("user", "rename", "absent", "new"), "hubstead: "),
    ],
)
def test_a_refused_rename_is_one_line_and_changes_nothing(
    served: ProcessHub, arguments: tuple[str, ...], reason: str
) -> None:
    hubstead("user", "create", "taken", data=served.data)
    before = json_of("user", "list", data=served.data)
    refused = hubstead(*arguments, data=served.data)
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    assert reason in refused.stderr
    assert json_of("user", "list", data=served.data) == before


def test_repositories_are_listed_shown_and_deleted_private_ones_too(served: ProcessHub) -> None:
    from huggingface_hub import HfApi

    data = served.data
    api = HfApi(endpoint=served.url, token=served.token)
    api.create_repo("admin/bert", private=True)
    api.create_repo("admin/bert", repo_type="dataset")
    listed = json_of("repo", "list", "--owner", "Admin", data=data)
    assert [(row["kind"], row["name"], row["private"]) for row in listed] == [
        ("dataset", "admin/bert", False),
        ("model", "admin/bert", True),
    ]
    info = json_of("repo", "info", "datasets/admin/bert", data=data)
    head = api.repo_info("admin/bert", repo_type="dataset").sha
    assert info["refs"] == {"refs/heads/main": head}
    owns = hubstead("user", "delete", "admin", data=data)
    assert owns.returncode == 1
    assert "owns repositories" in owns.stderr
    ok(hubstead("repo", "delete", "admin/bert", data=data))
    assert not api.repo_exists("admin/bert")
    assert api.repo_exists("admin/bert", repo_type="dataset")
    missing = hubstead("repo", "info", "admin/bert", data=data)
    assert (missing.returncode, missing.stderr) == (1, "hubstead: Repository not found\n")


def test_collections_are_listed_and_deleted(served: ProcessHub) -> None:
    data, api = served.data, served.api(served.token)
    slugs = [
        api.create_collection(title, private=private).slug
        for title, private in (("Oaks", False), ("Elms", True))
    ]
    listed = json_of("collection", "list", "--owner", "admin", data=data)
    assert [row["slug"] for row in listed] == slugs
    assert [(row["title"], row["private"]) for row in listed] == [("Oaks", False), ("Elms", True)]
    result = json_of("collection", "delete", slugs[0], data=data)
    assert result == {"slug": slugs[0], "deleted": True}
    assert slugs[0] not in ok(hubstead("collection", "list", data=data))
    missing = hubstead("collection", "delete", slugs[0], data=data)
    assert (missing.returncode, missing.stderr) == (1, "hubstead: Collection not found\n")
    assert hubstead("collection", "list", "--owner", "nobody", data=data).returncode == 1
    ok(hubstead("collection", "delete", slugs[1], data=data))


def test_webhooks_are_added_listed_and_removed_and_have_a_log(served: ProcessHub) -> None:
    data = served.data
    url = "http://127.0.0.1:9/hook"
    result = json_of(
        "webhook", "add", url, "--secret", "-", "--kind", "dataset", data=data, stdin="s3cret"
    )
    assert (result["url"], result["secret"], result["kinds"]) == (url, True, ["dataset"])
    listed = hubstead("webhook", "list", data=data)
    assert url in ok(listed)
    assert "s3cret" not in listed.stdout
    assert json_of("webhook", "log", result["id"], data=data) == []
    ok(hubstead("webhook", "remove", result["id"], data=data))
    assert hubstead("webhook", "remove", result["id"], data=data).returncode == 1
    bad = hubstead("webhook", "add", "ftp://x", data=data)
    assert bad.returncode == 1
    assert len(bad.stderr.splitlines()) == 1


def test_jobs_are_listed(served: ProcessHub) -> None:
    listed = json_of("jobs", data=served.data)
    assert {"type", "subject", "due", "running_on", "attempts", "error"} <= listed[0].keys()


def test_the_doctor_reports_no_finding_for_a_running_hub(served: ProcessHub) -> None:
    report = json_of("doctor", "--deep", data=served.data)
    assert report == {
        "healthy": True,
        "counts": {"fault": 0, "warning": 0, "litter": 0},
        "findings": [],
    }


def test_the_doctor_reports_a_fault_and_exits_with_status_1(served: ProcessHub) -> None:
    from huggingface_hub import HfApi

    api = HfApi(endpoint=served.url, token=served.token)
    api.create_repo("admin/broken")
    repo_id = json_of("repo", "info", "admin/broken", data=served.data)["id"]
    folder = served.data / "git" / repo_id[:2] / f"{repo_id}.git" / "objects" / "pack"
    (pack,) = folder.glob("*.pack")
    content = pack.read_bytes()
    pack.unlink()
    result = hubstead("doctor", data=served.data)
    assert result.returncode == 1
    assert f"models/admin/broken: the file {pack.name} is missing" in result.stdout
    assert "→ restore the pack from a backup" in result.stdout
    pack.write_bytes(content)
    assert ok(hubstead("doctor", data=served.data)) == "Everything is in order.\n"


def test_lists_escape_control_characters_of_the_terminal() -> None:
    from hubstead.cli.output import printable

    assert printable("a\x1b[2Jb\n") == "a\\x1b[2Jb\\n"


def test_a_database_is_not_migrated_while_a_server_uses_it(data: Path) -> None:
    ok(hubstead("user", "create", "ada", data=data))
    with contextlib.closing(sqlite3.connect(data / "hubstead.db")) as raw, raw:
        raw.execute("DELETE FROM alembic_version")
    with (data / "server.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = hubstead("user", "create", "bob", data=data)
    assert result.returncode == 1
    assert result.stderr == f"hubstead: another server holds the data folder {data}\n"
