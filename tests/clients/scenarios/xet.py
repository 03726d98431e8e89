"""Releases with Xet switched on, the default; nothing is replaced.

Every release uploads its own content, so that all of it is new. The hub's metrics and the figures
of a repository show the transfers: which Xet calls it calls_answered, and how many bytes it stores.
"""

import json
import os
import struct
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import hf_xet  # noqa: F401 - the scenario means nothing without it
import huggingface_hub
import steps
from huggingface_hub import HfApi, HfFileSystem, hf_hub_download, snapshot_download
from steps import ANNA_TOKEN, BO_TOKEN, RUN, URL, needs, noise, step

API: Any = HfApi()
RepositoryNotFoundError = needs(huggingface_hub.utils, "RepositoryNotFoundError")
BO: dict[str, Any] = {"token": BO_TOKEN}
ANNA: dict[str, Any] = {"token": ANNA_TOKEN}
RELEASE = tuple(int(part) for part in huggingface_hub.__version__.split("."))
XET = tuple(int(part) for part in os.environ["HF_XET"].split("."))
MODEL = f"anna/{RUN}model"
AGAIN = f"anna/{RUN}again"
HIDDEN = f"anna/{RUN}hidden"
DATASET = f"acme/{RUN}dataset"
BOS = f"bo/{RUN}model"
BINARIES = Path(sys.executable).parent


def mixed(size: int, seed: str) -> bytes:
    """Return content like a model's file: numbers, text, zeros, noise, repetitions."""
    block = noise(300_000, f"{seed} block")
    numbers = b"".join(struct.pack("<f", (n * 37 % 1000) / 1000) for n in range(100_000))
    kinds: tuple[Callable[[int], bytes], ...] = (
        lambda n: noise(2_000_000, f"{seed} {n}"),
        lambda n: numbers + noise(64, f"{seed} {n}"),
        lambda n: f"{seed}, line {n} of a text\n".encode() * 20_000,
        lambda n: bytes(1_000_000),
        lambda n: block,
    )
    parts: list[bytes] = []
    length = 0
    while length < size:
        parts.append(kinds[len(parts) % len(kinds)](len(parts)))
        length += len(parts[-1])
    return b"".join(parts)[:size]


#: Every test run uses less than `make compat`.
THOROUGH = os.environ["THOROUGH"] == "1"
LARGE = 49_200_000 if THOROUGH else 9_200_000
FILES = {
    "empty.bin": b"",
    "one.bin": b"x",
    "k3.bin": noise(3_000, RUN),
    "k130.bin": noise(130_000, f"{RUN} k130"),
    "mixed.safetensors": mixed(LARGE, RUN),
    # Its first xorb is longer than 64 MiB, chunk headers included.
    "m70.bin": noise(70_000_000 if THOROUGH else 5_000_000, f"{RUN} m70"),
}
SMALL = {name: data for name, data in FILES.items() if len(data) < 1_000_000}
FOLDER = {
    "README.md": b"# Model\n",
    "config.json": b"{}",
    "empty.txt": b"",
    "a/one.bin": noise(700_000, f"{RUN} one"),
    "a/b/two.safetensors": noise(3_000_001, f"{RUN} two"),
    "a/b/same.bin": noise(700_000, f"{RUN} one"),
    "data.parquet": mixed(5_000_000, f"{RUN} parquet"),
}


# -- metrics of the hub ------------------------------------------------------------------------


def calls_answered(*parts: Any) -> Any:
    """Return how many calls the hub has answered on routes with all of these parts."""
    with urllib.request.urlopen(f"{URL}/metrics") as response:
        lines = response.read().decode().splitlines()
    counters = [line for line in lines if line.startswith("hubstead_requests_total{")]
    matching = [line for line in counters if all(part in line for part in parts)]
    return sum(int(float(line.rpartition(" ")[2])) for line in matching)


def stored_bytes(repo_id: str, what: str = "stored") -> Any:
    """Return the bytes stored for a repository, or only the unique or shared ones."""
    url = f"{URL}/api/models/{repo_id}?expand[]=deduplication"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {ANNA_TOKEN}"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)["deduplication"][f"{what}Bytes"]


def sent_xorbs() -> Any:
    """Return how many xorbs clients have sent, to the hub or directly to S3."""
    routes = ("/xorb/default/", "/xorbs/default/", "/xorb-commits/default/")
    return sum(calls_answered("POST ", route) for route in routes)


@contextmanager
def no_new_xorb() -> Iterator[Any]:
    """Require that no bytes of files are uploaded in the block."""
    before = sent_xorbs()
    yield
    assert sent_xorbs() == before, "xorbs were sent"


def xet_hash(repo_id: str, name: str, token: Any = ANNA_TOKEN, kind: str = "") -> Any:
    """Return the hash of a Xet file in the hub's header, None for a plain one."""
    url = f"{URL}/{kind}{repo_id}/resolve/main/{name}"
    request = urllib.request.Request(
        url, method="HEAD", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request) as response:
        return response.headers.get("X-Xet-Hash")


def plain(repo_id: str, name: str, span: Any = None) -> Any:
    """Return the response to a plain GET."""
    headers = {"Authorization": f"Bearer {ANNA_TOKEN}"}
    if span:
        headers["Range"] = span
    request = urllib.request.Request(f"{URL}/{repo_id}/resolve/main/{name}", headers=headers)
    with urllib.request.urlopen(request) as response:
        assert response.status == (206 if span else 200)
        return response.read()


def upload(
    data: bytes, name: str, repo_id: str = MODEL, who: Any = ANNA_TOKEN, **more: Any
) -> None:
    """Upload a file from the disk: the earliest releases send bytes in memory by LFS."""
    path = steps.file_of(data, Path(name).name)
    API.upload_file(path_or_fileobj=path, path_in_repo=name, repo_id=repo_id, token=who, **more)
    os.unlink(path)


def download(name: str, repo_id: str = MODEL, who: Any = ANNA_TOKEN, **more: Any) -> Any:
    """Download a file into an empty cache."""
    return hf_hub_download(repo_id, name, cache_dir=tempfile.mkdtemp(), token=who, **more)


def run_fresh(program: Any, *arguments: str, **environment: Any) -> Any:
    """Run a program with this release and empty caches; return the paths that it printed."""
    home = tempfile.mkdtemp()
    env = {**os.environ, "HF_HOME": home, "HF_XET_CACHE": f"{home}/xet", **environment}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
        env=env,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    # Older releases of hf_xet write warnings to standard output as well.
    lines = result.stdout.splitlines()
    return [line.removeprefix("PATH ") for line in lines if line.startswith("PATH ")]


_UPLOAD = """
import sys
from huggingface_hub import HfApi
path, name, repo_id, token = sys.argv[1:]
HfApi().upload_file(path_or_fileobj=path, path_in_repo=name, repo_id=repo_id, token=token)
"""
#: This way makes every release use LFS; the first ones have no switch for Xet.
_UPLOAD_PLAIN = """
import io, sys
from huggingface_hub import HfApi
path, name, repo_id, token = sys.argv[1:]
content = io.BytesIO(open(path, "rb").read())
HfApi().upload_file(path_or_fileobj=content, path_in_repo=name, repo_id=repo_id, token=token)
"""
_DOWNLOAD = """
import sys
from huggingface_hub import hf_hub_download
repo_id, token, *names = sys.argv[1:]
for name in names:
    print("PATH", hf_hub_download(repo_id, name, token=token))
"""
_BOTH = """
import sys
from huggingface_hub import HfApi, hf_hub_download
path, name, repo_id, token = sys.argv[1:]
HfApi().upload_file(path_or_fileobj=path, path_in_repo=name, repo_id=repo_id, token=token)
print("PATH", hf_hub_download(repo_id, name, token=token))
"""


def upload_apart(
    data: bytes, name: str, repo_id: str = MODEL, program: Any = _UPLOAD, **environment: Any
) -> None:
    """Upload a file from a machine with empty caches."""
    path = steps.file_of(data, Path(name).name)
    run_fresh(program, path, name, repo_id, ANNA_TOKEN, **environment)
    os.unlink(path)


def upload_plain(data: bytes, name: str, repo_id: str) -> None:
    """Upload a file by LFS."""
    upload_apart(data, name, repo_id, _UPLOAD_PLAIN, HF_HUB_DISABLE_XET="1")


def download_apart(*names: Any, **environment: Any) -> Any:
    """Download files to a machine with empty caches, and return their paths."""
    return run_fresh(_DOWNLOAD, MODEL, ANNA_TOKEN, *names, **environment)


# -- uploads and downloads ---------------------------------------------------------------------


@step
def create() -> None:
    """Create repositories."""
    for repo_id in (MODEL, AGAIN):
        API.create_repo(repo_id, **ANNA)
    API.create_repo(HIDDEN, private=True, **ANNA)
    API.create_repo(DATASET, repo_type="dataset", **ANNA)
    API.create_repo(BOS, **BO)


@step
def upload_sizes() -> None:
    """Upload files of 0 bytes, 1 byte, 3 KB, 130 KB, 49 MB and 70 MB."""
    for name, data in FILES.items():
        upload(data, name)
        assert bool(xet_hash(MODEL, name)) == bool(data), f"{name} did not go by Xet"
    assert sent_xorbs() > 0


@step
def download_sizes() -> None:
    """Download them, equal byte by byte."""
    before = calls_answered("GET ", "/reconstruction")
    for name, data in FILES.items():
        steps.same_bytes(download(name), data)
    assert calls_answered("GET ", "/reconstruction") > before, "nothing was downloaded by Xet"


@step
def download_all() -> None:
    """Download the whole model, equal byte by byte."""
    folder = Path(snapshot_download(MODEL, cache_dir=tempfile.mkdtemp(), **ANNA))
    for name, data in FILES.items():
        steps.same_bytes(folder / name, data)
    folder = Path(tempfile.mkdtemp())
    snapshot_download(MODEL, local_dir=str(folder), allow_patterns="k*.bin", **ANNA)
    steps.same_bytes(f"{folder}/k130.bin", FILES["k130.bin"])


@step
def upload_bytes() -> None:
    """Upload bytes in memory, and an open file."""
    data = noise(300_000, f"{RUN} bytes")
    API.upload_file(path_or_fileobj=data, path_in_repo="bytes.bin", repo_id=MODEL, **ANNA)
    steps.same_bytes(download("bytes.bin"), data)
    with open(steps.file_of(data + b"x"), "rb") as file:
        API.upload_file(path_or_fileobj=file, path_in_repo="handle.bin", repo_id=MODEL, **ANNA)
    steps.same_bytes(download("handle.bin"), data + b"x")


@step
def upload_folder() -> None:
    """Upload a folder with small and large files in one commit."""
    API.upload_folder(
        repo_id=DATASET, repo_type="dataset", folder_path=a_folder(), path_in_repo="f", **ANNA
    )
    for name, data in FOLDER.items():
        steps.same_bytes(download(f"f/{name}", DATASET, repo_type="dataset"), data)
    assert xet_hash(DATASET, "f/a/one.bin", kind="datasets/")


def a_folder() -> Any:
    folder = Path(tempfile.mkdtemp())
    for name, data in FOLDER.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return str(folder)


@step
def upload_large_folder() -> None:
    """Upload a folder by upload_large_folder."""
    needs(API, "upload_large_folder")
    program = """
import sys
from huggingface_hub import HfApi
repo_id, folder, token = sys.argv[1:]
HfApi(token=token).upload_large_folder(
    repo_id=repo_id, folder_path=folder, repo_type="dataset", print_report=False, num_workers=2
)
"""
    repo_id = DATASET + "-large"
    API.create_repo(repo_id, repo_type="dataset", **ANNA)
    run_fresh(program, repo_id, a_folder(), ANNA_TOKEN)
    for name, data in FOLDER.items():
        steps.same_bytes(download(name, repo_id, repo_type="dataset"), data)


@step
def command_line() -> None:
    """Upload a folder and download it by the command line."""
    command = BINARIES / ("hf" if (BINARIES / "hf").exists() else "huggingface-cli")
    home = tempfile.mkdtemp()
    env = {**os.environ, "HF_HOME": home, "HF_XET_CACHE": f"{home}/xet", "HF_TOKEN": ANNA_TOKEN}
    down = tempfile.mkdtemp()
    for arguments in (
        ("upload", HIDDEN, a_folder(), "cli"),
        ("download", HIDDEN, "--include", "cli/*", "--local-dir", down),
    ):
        result = subprocess.run(
            [command, *arguments], check=False, capture_output=True, text=True, timeout=200, env=env
        )
        assert result.returncode == 0, result.stdout + result.stderr
    for name, data in FOLDER.items():
        steps.same_bytes(f"{down}/cli/{name}", data)
    assert xet_hash(HIDDEN, "cli/data.parquet")


@step
def file_system_reads() -> None:
    """Read parts at odd offsets by HfFileSystem."""
    data = FILES["mixed.safetensors"]
    fs = HfFileSystem(token=ANNA_TOKEN, skip_instance_cache=True)
    path = f"{MODEL}/mixed.safetensors"
    assert fs.info(path)["size"] == len(data)
    with fs.open(path, "rb", block_size=100_003) as file:
        for start, size in ((0, 1), (65_535, 3), (1_999_999, 131_073), (len(data) - 7, 7)):
            file.seek(start)
            assert file.read(size) == data[start : start + size], (start, size)
        file.seek(-11, 2)
        assert file.read() == data[-11:]
    assert fs.cat_file(path, start=7_000_001, end=7_300_007) == data[7_000_001:7_300_007]
    with fs.open(f"{MODEL}/k130.bin", "rb", block_size=0) as stream:
        assert stream.read() == FILES["k130.bin"]


@step
def file_system_writes() -> None:
    """Write, copy and delete by HfFileSystem."""
    fs = HfFileSystem(token=ANNA_TOKEN, skip_instance_cache=True)
    data = noise(6_000_001, f"{RUN} written")
    with fs.open(f"{MODEL}/fs/written.bin", "wb") as file:
        for at in range(0, len(data), 1_000_000):
            file.write(data[at : at + 1_000_000])
    steps.same_bytes(download("fs/written.bin"), data)
    assert xet_hash(MODEL, "fs/written.bin")
    with no_new_xorb():
        fs.cp_file(f"{MODEL}/fs/written.bin", f"{AGAIN}/copied.bin")
    steps.same_bytes(download("copied.bin", AGAIN), data)
    fs.rm(f"{MODEL}/fs/written.bin")
    assert not needs(fs, "exists")(f"{MODEL}/fs/written.bin")


@step
def metadata() -> None:
    """Lists include the Xet hash where the release reads it."""
    entries = {entry.path: entry for entry in API.list_repo_tree(MODEL, **ANNA)}
    entry = entries["k130.bin"]
    assert entry.lfs["size"] == 130_000
    if hasattr(entry, "xet_hash"):
        assert entry.xet_hash == xet_hash(MODEL, "k130.bin")
    (infos,) = API.get_paths_info(MODEL, ["k130.bin"], **ANNA)
    assert infos.size == 130_000


# -- deduplication -----------------------------------------------------------------------------


@step
def upload_again() -> None:
    """Upload the same content elsewhere: nothing is stored twice, nor sent from 1.1.1 on."""
    before = stored_bytes(AGAIN, "unique")
    # Up to 1.1.0 clients cache nothing, and the hub names one xorb at a time.
    with no_new_xorb() if XET > (1, 1, 0) else nullcontext():
        for name in ("k3.bin", "mixed.safetensors", "m70.bin"):
            upload(FILES[name], f"again/{name}", AGAIN)
    assert stored_bytes(AGAIN, "unique") == before
    for name in ("k3.bin", "mixed.safetensors", "m70.bin"):
        steps.same_bytes(download(f"again/{name}", AGAIN), FILES[name])


@step
def upload_again_elsewhere() -> None:
    """Upload it from a machine with empty caches: under 1% is sent again."""
    before = bytes_of_xorbs()
    upload_apart(FILES["mixed.safetensors"], "apart/mixed.safetensors", AGAIN)
    assert bytes_of_xorbs() - before <= LARGE // 100, bytes_of_xorbs() - before
    steps.same_bytes(download("apart/mixed.safetensors", AGAIN), FILES["mixed.safetensors"])


def bytes_of_xorbs() -> Any:
    """Return the bytes of all xorbs of the hub."""
    return steps.admin("stats")["total"]["xorb_bytes"]


@step
def insertion() -> None:
    """Upload a file with bytes inserted in its middle: only their surroundings are stored again."""
    data = FILES["mixed.safetensors"]
    changed = data[: LARGE // 2] + b"seventeen bytes.." + data[LARGE // 2 :]
    before = stored_bytes(MODEL)
    upload(changed, "changed.safetensors")
    assert stored_bytes(MODEL) - before < 600_000, stored_bytes(MODEL) - before
    steps.same_bytes(download("changed.safetensors"), changed)


@step
def repeats() -> None:
    """Upload a repetitive file: one copy is stored."""
    block = noise(1_000_000, f"{RUN} block")
    before = stored_bytes(MODEL)
    upload(block * 12, "repeats.bin")
    assert stored_bytes(MODEL) - before < 2_500_000, stored_bytes(MODEL) - before
    steps.same_bytes(download("repeats.bin"), block * 12)


# -- with and without Xet ----------------------------------------------------------------------


@step
def plain_download() -> None:
    """Download Xet files by plain HTTP, and with HF_HUB_DISABLE_XET=1 (which 0.30 lacks)."""
    before = calls_answered("GET ", "/reconstruction")
    if RELEASE >= (0, 31):  # earlier releases have no such switch
        paths = download_apart(*FILES, HF_HUB_DISABLE_XET="1")
        for path, data in zip(paths, FILES.values(), strict=True):
            steps.same_bytes(path, data)
    for name, data in FILES.items():
        assert plain(MODEL, name) == data, name
    assert calls_answered("GET ", "/reconstruction") == before, "Xet was used"
    data = FILES["mixed.safetensors"]
    assert plain(MODEL, "mixed.safetensors", "bytes=5777215-8554433") == data[5777215:8554434]
    assert plain(MODEL, "mixed.safetensors", "bytes=-5") == data[-5:]
    assert plain(MODEL, "mixed.safetensors", f"bytes={LARGE - 1}-") == data[-1:]


@step
def plain_upload() -> None:
    """Download with Xet a file that was uploaded with HF_HUB_DISABLE_XET=1."""
    data = noise(5_000_000, f"{RUN} plain")
    upload_plain(data, "plain.bin", MODEL)
    assert xet_hash(MODEL, "plain.bin") is None
    steps.same_bytes(download("plain.bin"), data)
    # The same bytes by Xet: one object by either way.
    upload(data, "plain-by-xet.bin", AGAIN)
    steps.same_bytes(download("plain-by-xet.bin", AGAIN), data)
    steps.same_bytes(download("plain.bin"), data)
    assert plain(MODEL, "plain.bin") == data


@step
def plain_upload_of_known() -> None:
    """Upload a stored Xet file with HF_HUB_DISABLE_XET=1, and download it."""
    upload_plain(FILES["k130.bin"], "known.bin", HIDDEN)
    steps.same_bytes(download("known.bin", HIDDEN), FILES["k130.bin"])


@step
def switches() -> None:
    """Older forms of the protocol, and parallel parts, by the switches of hf_xet."""
    data = noise(3_000_000, f"{RUN} switches")
    for number, switch in enumerate(
        (
            {
                "HF_XET_CLIENT_RECONSTRUCTION_API_VERSION": "1",
                "HF_XET_CLIENT_SHARD_API_VERSION": "1",
                "HF_XET_CLIENT_LEGACY_DIRECT_XORB_UPLOAD": "1",
            },
            {
                "HF_XET_CLIENT_RECONSTRUCTION_API_VERSION": "2",
                "HF_XET_CLIENT_SHARD_API_VERSION": "2",
                "HF_XET_CLIENT_ENABLE_MULTIRANGE_FETCHING": "1",
            },
            {
                "HF_XET_HIGH_PERFORMANCE": "1",
                "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "0",
                "HF_XET_DEDUPLICATION_GLOBAL_DEDUP_QUERY_ENABLED": "false",
                "HF_HUB_DISABLE_TELEMETRY": "1",
            },
        )
    ):
        changed = bytes([number]) + data
        content = changed + FILES["k130.bin"] + changed
        path = steps.file_of(content)
        (path,) = run_fresh(_BOTH, path, f"switch{number}.bin", MODEL, ANNA_TOKEN, **switch)
        steps.same_bytes(path, content)


# -- rights ------------------------------------------------------------------------------------


@step
def hidden() -> None:
    """A stranger gets neither a private file nor a Xet token for it."""
    upload(FILES["k3.bin"], "k3.bin", HIDDEN)
    for who in (BO_TOKEN, False):
        steps.fails(RepositoryNotFoundError, download, "k3.bin", HIDDEN, who)
        steps.fails(Exception, upload, b"x" * 5000, "no.bin", HIDDEN, who)
    steps.same_bytes(download("k3.bin", HIDDEN), FILES["k3.bin"])
    error = steps.fails(Exception, upload, noise(5_000, RUN), "no.bin", MODEL, BO_TOKEN)
    assert "403" in f"{error!r} {error}", error
    steps.same_bytes(download("k3.bin", MODEL, BO_TOKEN), FILES["k3.bin"])


@step
def hidden_meanwhile() -> None:
    """Content that becomes private, then is deleted, does not break a client with a cache of it."""
    data = noise(4_000_000, f"{RUN} meanwhile")
    passing = f"anna/{RUN}passing"
    API.create_repo(passing, **ANNA)
    upload(data, "w.bin", passing)
    steps.same_bytes(download("w.bin", passing, BO_TOKEN), data)
    with no_new_xorb():
        upload(data, "w.bin", BOS, BO_TOKEN)
    API.update_repo_settings(passing, private=True, **ANNA)
    steps.fails(RepositoryNotFoundError, download, "w.bin", passing, BO_TOKEN)
    upload(data + b"more", "more.bin", BOS, BO_TOKEN)
    API.delete_repo(passing, **ANNA)
    upload(data + b"still more", "still.bin", BOS, BO_TOKEN)
    for name, wanted in (("w", data), ("more", data + b"more"), ("still", data + b"still more")):
        steps.same_bytes(download(f"{name}.bin", BOS, BO_TOKEN), wanted)


@step
def lost_membership() -> None:
    """A former member of an organization uploads further and reads none of its files."""
    data = noise(4_000_000, f"{RUN} membership")
    inner = f"acme/{RUN}inner"
    API.create_repo(inner, private=True, **ANNA)
    steps.admin("org", "add", "acme", "bo", "--role", "write")
    try:
        upload(data, "w.bin", inner, BO_TOKEN)
        steps.same_bytes(download("w.bin", inner, BO_TOKEN), data)
    finally:
        steps.admin("org", "remove", "acme", "bo")
    steps.fails(RepositoryNotFoundError, download, "w.bin", inner, BO_TOKEN)
    steps.fails(Exception, upload, data + b"x", "w.bin", inner, BO_TOKEN)
    upload(data + b"mine", "mine.bin", BOS, BO_TOKEN)
    steps.same_bytes(download("mine.bin", BOS, BO_TOKEN), data + b"mine")
    API.delete_repo(inner, **ANNA)


@step
def delete_repos() -> None:
    """Delete repositories; others with the same content are unaffected."""
    API.delete_repo(MODEL, **ANNA)
    steps.fails(RepositoryNotFoundError, download, "k3.bin")
    for name in ("mixed.safetensors", "m70.bin"):
        steps.same_bytes(download(f"again/{name}", AGAIN), FILES[name])
    upload(FILES["mixed.safetensors"], "after.safetensors", BOS, BO_TOKEN)
    steps.same_bytes(download("after.safetensors", BOS, BO_TOKEN), FILES["mixed.safetensors"])


def installed() -> Any:
    """Return the version of hf_xet; 1.0 does not export it."""
    from importlib.metadata import version

    return version("hf_xet")


assert huggingface_hub.__version__ == os.environ["RELEASE"], huggingface_hub.__version__
assert installed() == os.environ["HF_XET"], installed()
steps.run_all()
