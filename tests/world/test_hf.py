"""The command ``hf``, by hand as in its manual."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.world.machine import Machine


def test_login_with_a_token_and_whoami_succeed(strange_machine: Machine) -> None:
    machine = strange_machine
    assert "admin" not in machine.hf("auth", "whoami", check=False).stdout
    machine.hf("auth", "login", "--token", machine.node.token)
    assert "admin" in machine.hf("auth", "whoami").stdout
    assert "first-token" in machine.hf("auth", "list").stdout
    machine.hf("auth", "logout")
    assert "admin" not in machine.hf("auth", "whoami", check=False).stdout


def test_an_invalid_token_is_refused(strange_machine: Machine) -> None:
    output = strange_machine.hf("auth", "login", "--token", "hf_" + "x" * 34, check=False)
    assert output.returncode != 0
    assert "invalid" in (output.stdout + output.stderr).lower()


def test_files_and_folders_are_uploaded_and_downloaded(machine: Machine, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "weights.bin").write_bytes(bytes(range(256)) * 100_000)
    (folder / "notes.txt").write_text("notes\n")
    machine.hf("repos", "create", "byhand")
    machine.hf("upload", "admin/byhand", folder / "notes.txt", "up/notes.txt")
    machine.hf("upload", "admin/byhand", folder, ".", "--commit-message", "a folder")
    machine.hf("download", "admin/byhand", "--local-dir", tmp_path / "down")
    down = tmp_path / "down"
    assert (down / "up" / "notes.txt").read_text() == "notes\n"
    same = (down / "deep" / "weights.bin").read_bytes()
    assert same == (folder / "deep" / "weights.bin").read_bytes()
    output = machine.hf("download", "admin/byhand", "notes.txt")
    assert "snapshots" in output.stdout
    assert "notes.txt" in output.stdout
    machine.hf("download", "admin/byhand")
    verified = machine.hf("cache", "verify", "admin/byhand")
    assert "4 file" in verified.stdout or "verified" in verified.stdout.lower()


def test_verification_of_the_cache_reports_a_changed_file(machine: Machine, tmp_path: Path) -> None:
    machine.hf("repos", "create", "verified")
    (tmp_path / "a.txt").write_text("as it was")
    machine.hf("upload", "admin/verified", tmp_path / "a.txt", "a.txt")
    down = tmp_path / "down"
    machine.hf("download", "admin/verified", "--local-dir", down)
    machine.hf("cache", "verify", "admin/verified", "--local-dir", down)
    (down / "a.txt").write_text("something else")
    output = machine.hf("cache", "verify", "admin/verified", "--local-dir", down, check=False)
    assert output.returncode != 0
    assert "a.txt" in output.stdout + output.stderr


def test_branches_and_tags_are_created_listed_and_deleted(machine: Machine, tmp_path: Path) -> None:
    machine.hf("repos", "create", "refs", "--type", "dataset")
    of_it = ("admin/refs", "--type", "dataset")
    machine.hf("repos", "branch", "create", "admin/refs", "dev", "--type", "dataset")
    (tmp_path / "only.txt").write_text("on dev")
    machine.hf("upload", *of_it, tmp_path / "only.txt", "only.txt", "--revision", "dev")
    machine.hf("repos", "tag", "create", "admin/refs", "v1", "--revision", "dev", *of_it[1:])
    machine.hf("repos", "tag", "create", "admin/refs", "v2", "-m", "words", *of_it[1:])
    listed = machine.hf("repos", "tag", "list", *of_it).stdout
    assert "v1" in listed
    assert "v2" in listed
    machine.hf("download", *of_it, "only.txt", "--revision", "v1")
    assert machine.hf("download", *of_it, "only.txt", check=False).returncode != 0
    machine.hf("repos", "tag", "delete", "admin/refs", "v1", "--yes", *of_it[1:])
    assert "v1" not in machine.hf("repos", "tag", "list", *of_it).stdout
    machine.hf("repos", "branch", "delete", "admin/refs", "dev", *of_it[1:])
    output = machine.hf("download", *of_it, "only.txt", "--revision", "dev", check=False)
    assert "Revision" in output.stdout + output.stderr


def test_repositories_are_listed_moved_configured_duplicated_and_deleted(machine: Machine) -> None:
    machine.hf("repos", "create", "shelf", "--private")
    assert "admin/shelf" in machine.hf("models", "ls", "--author", "admin", "-q").stdout
    assert "shelf" in machine.hf("models", "info", "admin/shelf").stdout
    assert "admin/shelf" in machine.hf("repos", "list", "-q").stdout
    machine.hf("repos", "move", "admin/shelf", "admin/board")
    assert "board" in machine.hf("models", "info", "admin/shelf").stdout
    machine.hf("repos", "settings", "admin/board", "--public")
    machine.hf("repos", "duplicate", "admin/board", "admin/copy")
    machine.hf("repos", "delete", "admin/board", "--yes")
    output = machine.hf("models", "info", "admin/board", check=False)
    assert output.returncode != 0
    assert "not found" in (output.stdout + output.stderr).lower()
    machine.hf("repos", "delete", "admin/copy", "--yes")
    machine.hf("repos", "delete", "admin/copy", "--yes", "--missing-ok")


def test_files_are_deleted_by_pattern(machine: Machine, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.md"):
        (tmp_path / name).write_text(name)
    machine.hf("repos", "create", "patterns")
    machine.hf("upload", "admin/patterns", tmp_path, ".", "--include", "*.txt", "--include", "*.md")
    machine.hf("repos", "delete-files", "admin/patterns", "*.txt")
    tree = machine.node.call("GET", "/api/models/admin/patterns/tree/main").json
    assert [entry["path"] for entry in tree] == [".gitattributes", "c.md"]


@pytest.mark.parametrize("kind", ["dataset", "space"])
def test_other_kinds_work_like_models(machine: Machine, tmp_path: Path, kind: str) -> None:
    sdk = ("--space-sdk", "static") if kind == "space" else ()
    machine.hf("repos", "create", f"a-{kind}", "--type", kind, *sdk)
    (tmp_path / "page.html").write_text("<p>hello")
    machine.hf("upload", f"admin/a-{kind}", tmp_path / "page.html", "--type", kind)
    machine.hf("download", f"admin/a-{kind}", "page.html", "--type", kind)
    assert f"admin/a-{kind}" in machine.hf(f"{kind}s", "ls", "--author", "admin", "-q").stdout
