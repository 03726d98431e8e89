"""Other users of the machine read nothing of the hub, whatever the origin of its folder."""

from __future__ import annotations

from pathlib import Path

from hubstead.settings import Settings
from tests.support.hub import ProcessHub, ThreadHub


def exposed(data: Path) -> list[str]:
    """Return what others may use below a folder that they may enter."""
    return sorted(path.name for path in data.iterdir() if path.stat().st_mode & 0o077)


def use(hub: ThreadHub) -> None:
    anna = hub.user()
    repo = anna.repo(private=True)
    anna.api.upload_file(path_or_fileobj=b"x" * 99, path_in_repo="a.bin", repo_id=repo)
    target = f"/api/models/{repo}/upload/main/b.bin"
    assert anna.call("POST", target, b"y").status == 200


def test_a_folder_that_everybody_may_enter_shows_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    hub = ThreadHub("embedded", Settings(data=data)).start()
    use(hub)
    assert {"git", "blobs", "incoming", "hubstead.db", "hubstead.db-wal"} <= {
        path.name for path in data.iterdir()
    }
    assert exposed(data) == []
    hub.stop()
    for path in data.iterdir():
        path.chmod(0o755)
    hub.start()
    use(hub)
    assert exposed(data) == []
    hub.stop()


def test_a_server_creates_every_file_for_its_user_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o777)
    hub = ProcessHub(data).start()
    try:
        headers = {"token": hub.token}
        body = {"name": "bert", "private": True}
        assert hub.call("POST", "/api/repos/create", body, **headers).status == 200
    finally:
        hub.stop()
    others = [path for path in data.rglob("*") if path.stat().st_mode & 0o077]
    assert [path for path in others if path.suffix not in (".pack", ".idx")] == []
    assert exposed(data) == []
