"""The API of releases from 0.5.1 on, which follow HF_ENDPOINT; nothing is replaced.

The first of them upload by one POST, those from 0.8.1 to 0.10.1 commit one JSON document, the
others NDJSON. Large files go by LFS over HTTP: Xet is switched off.
"""

import inspect
import json
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import steps
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from steps import ANNA_TOKEN, BO_TOKEN, RUN, URL, NotInThisRelease, fails, needs, noise, step

RELEASE = tuple(int(part) for part in huggingface_hub.__version__.split("."))
API: Any = HfApi()
BO: dict[str, Any] = {"token": BO_TOKEN}
ANNA: dict[str, Any] = {"token": ANNA_TOKEN}
MODEL = f"anna/{RUN}model"
OLDER = f"anna/{RUN}older"
HIDDEN = f"anna/{RUN}hidden"
DATASET = f"acme/{RUN}dataset"
PARTS = f"anna/{RUN}parts"
CARD = f"---\nlicense: apache-2.0\ntags:\n- t-{RUN}\n---\n# Model\n".encode()
CONFIG = b'{"model_type": "bert"}'
WEIGHTS = noise(11_000_000)
MANY_PARTS = noise(2_500_001, seed=1)  # 13 parts of 200,000 bytes: text order is not number order


def errors() -> Any:
    """Return the error classes of this release, by name."""
    for place in (
        "huggingface_hub.errors",
        "huggingface_hub.utils",
        "huggingface_hub.utils._errors",
    ):
        try:
            module = __import__(place, fromlist=["x"])
        except ImportError:
            continue
        if hasattr(module, "RepositoryNotFoundError"):
            return module
    raise NotInThisRelease("errors of its own")


def failing(name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Require that a call raises the error ``name``; before 0.8.1, any HTTP error."""
    try:
        kind = getattr(errors(), name)
    except NotInThisRelease:
        from requests.exceptions import HTTPError as kind
    return fails(kind, function, *args, **kwargs)


def download(repo_id: str, name: str, token: Any = None, **more: Any) -> Any:
    """Download a file with this release's parameter for the token."""
    named = "token" if "token" in inspect.signature(hf_hub_download).parameters else None
    if named is None or RELEASE < (0, 11):
        named = "use_auth_token"
    return hf_hub_download(repo_id, name, **{named: token} if token else {}, **more)


@step
def create() -> None:
    """Create models, a dataset of an organization, a space."""
    assert str(API.create_repo(OLDER, **ANNA)) == f"{URL}/{OLDER}"
    assert str(API.create_repo(MODEL, **ANNA)) == f"{URL}/{MODEL}"
    assert str(API.create_repo(HIDDEN, private=True, **ANNA)) == f"{URL}/{HIDDEN}"
    repo = API.create_repo(DATASET, repo_type="dataset", **ANNA)
    assert str(repo) == f"{URL}/datasets/{DATASET}"
    space = API.create_repo(f"anna/{RUN}space", repo_type="space", space_sdk="static", **ANNA)
    assert str(space) == f"{URL}/spaces/anna/{RUN}space"


@step
def create_again() -> None:
    """Create an existing repository: an error, or its address with exist_ok."""
    failing_status(409, API.create_repo, MODEL, **ANNA)
    assert str(API.create_repo(MODEL, exist_ok=True, **ANNA)) == f"{URL}/{MODEL}"


def failing_status(
    status: int | None, function: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    """Require that a call fails with this status, whatever the release's class for it."""
    error = fails(Exception, function, *args, **kwargs)
    while getattr(error, "response", None) is None and error.__cause__ is not None:
        error = error.__cause__
    if getattr(error, "response", None) is None:  # 0.8.1 raises a new error of the text alone
        assert str(error).startswith(str(status)), repr(error)
    else:
        assert error.response.status_code == status, repr(error)
    return error


@step
def whoami() -> None:
    """Request the user of the token; an unknown token is refused."""
    me = API.whoami(ANNA_TOKEN)
    assert me["name"] == "anna"
    assert "acme" in [org["name"] for org in me["orgs"]]
    failing_status(401, API.whoami, "hf_" + "x" * 34)


@step
def upload_small() -> None:
    """Upload small files, from bytes and from a path."""
    for source, name in ((CARD, "README.md"), (CONFIG, "config.json")):
        API.upload_file(path_or_fileobj=source, path_in_repo=name, repo_id=MODEL, **ANNA)
    path = steps.file_of(b"deep\n", "x.txt")
    API.upload_file(path_or_fileobj=path, path_in_repo="deep/er/x.txt", repo_id=MODEL, **ANNA)
    API.upload_file(path_or_fileobj=CONFIG, path_in_repo="config.json", repo_id=HIDDEN, **ANNA)
    API.upload_file(
        path_or_fileobj=b"a,b\n", path_in_repo="d.csv", repo_id=DATASET, repo_type="dataset", **ANNA
    )


@step
def upload_large() -> None:
    """Upload a large file by LFS."""
    path = steps.file_of(WEIGHTS, "w.bin")
    API.upload_file(path_or_fileobj=path, path_in_repo="weights.bin", repo_id=MODEL, **ANNA)


def create_with_threshold() -> None:
    """Create a repository whose LFS files above 1 MB go in parts; no client can set that."""
    body = {"name": PARTS.split("/")[1], "lfsmultipartthresh": 1_000_000}
    request = urllib.request.Request(
        f"{URL}/api/repos/create",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {ANNA_TOKEN}", "Content-Type": "application/json"},
    )
    urllib.request.urlopen(request).close()


@step
def upload_in_parts() -> None:
    """Upload a large file by LFS in 13 parts."""
    if RELEASE < (0, 8):
        raise NotInThisRelease("multipart without git")
    create_with_threshold()
    path = steps.file_of(MANY_PARTS, "w.bin")
    before = steps.parts_received()
    API.upload_file(path_or_fileobj=path, path_in_repo="w.bin", repo_id=PARTS, **ANNA)
    assert steps.parts_received() == before + 13
    steps.same_bytes(download(PARTS, "w.bin"), MANY_PARTS)


@step
def upload_folder() -> None:
    """Upload a folder with small and large files in one commit."""
    upload = needs(API, "upload_folder")
    folder = Path(os.environ["HOME"]) / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_bytes(b"a")
    (folder / "empty.txt").write_bytes(b"")
    (folder / "sub" / "w.safetensors").write_bytes(WEIGHTS[:300_000])
    where = {} if RELEASE >= (0, 9) else {"path_in_repo": "."}
    upload(repo_id=HIDDEN, folder_path=str(folder), **where, **ANNA)
    files = API.list_repo_files(HIDDEN, **ANNA)
    wanted = {".gitattributes", "a.txt", "config.json", "empty.txt", "sub/w.safetensors"}
    assert wanted == {name.removeprefix("./") for name in files}, files


@step
def upload_same() -> None:
    """Upload an unchanged file."""
    API.upload_file(path_or_fileobj=CONFIG, path_in_repo="config.json", repo_id=MODEL, **ANNA)


@step
def list_files() -> None:
    """List the files of a repository, in order."""
    files = list(API.list_repo_files(MODEL))
    wanted = [".gitattributes", "README.md", "config.json", "deep/er/x.txt", "weights.bin"]
    assert sorted(files) == wanted, files
    assert list(API.list_repo_files(DATASET, repo_type="dataset")) == [".gitattributes", "d.csv"]


@step
def info() -> None:
    """Request a model at its branch and at a commit, and a dataset."""
    info = API.model_info(MODEL)
    assert (getattr(info, "id", None) or info.modelId) == MODEL
    assert len(info.sha) == 40
    assert f"t-{RUN}" in info.tags
    assert "weights.bin" in [sibling.rfilename for sibling in info.siblings]
    assert API.model_info(MODEL, revision=info.sha).sha == info.sha
    assert API.model_info(MODEL, revision="main").sha == info.sha
    assert API.dataset_info(DATASET).id == DATASET


@step
def space_info() -> None:
    """Request a space."""
    assert needs(API, "space_info")(f"anna/{RUN}space").id == f"anna/{RUN}space"


@step
def info_of_files() -> None:
    """Request a model with the sizes and hashes of its files."""
    if "files_metadata" not in inspect.signature(API.model_info).parameters:
        raise NotInThisRelease("files_metadata")
    info = API.model_info(MODEL, files_metadata=True)
    weights = {sibling.rfilename: sibling for sibling in info.siblings}["weights.bin"]
    assert weights.size == len(WEIGHTS)
    assert weights.lfs["size"] == len(WEIGHTS)
    assert len(weights.lfs["sha256"]) == 64


@step
def list_models() -> None:
    """List models by author, tag and search."""
    listed = {model.modelId for model in API.list_models(author="anna")}
    assert MODEL in listed
    assert HIDDEN not in listed
    assert [model.modelId for model in API.list_models(filter=f"t-{RUN}")] == [MODEL]
    assert MODEL in {model.modelId for model in API.list_models(search=f"{RUN}model")}
    assert DATASET in {dataset.id for dataset in API.list_datasets(author="acme")}


@step
def list_sorted() -> None:
    """List models sorted, a few of them."""
    more = {"direction": -1} if "direction" in inspect.signature(API.list_models).parameters else {}
    newest = list(API.list_models(author="anna", sort="lastModified", limit=2, full=True, **more))
    assert len(newest) == 2, newest
    stamps = [getattr(model, "last_modified", None) or model.lastModified for model in newest]
    assert stamps == sorted(stamps, reverse=True)


@step
def list_private() -> None:
    """List the user's own private models."""
    names = inspect.signature(API.list_models).parameters
    token = {"token" if "token" in names else "use_auth_token": ANNA_TOKEN}
    assert HIDDEN in {model.modelId for model in API.list_models(author="anna", **token)}


@step
def download_files() -> None:
    """Download small and large files, twice, equal byte by byte."""
    for _ in range(2):
        steps.same_bytes(download(MODEL, "config.json"), CONFIG)
        steps.same_bytes(download(MODEL, "weights.bin"), WEIGHTS)
        steps.same_bytes(download(MODEL, "deep/er/x.txt"), b"deep\n")
    steps.same_bytes(download(DATASET, "d.csv", repo_type="dataset"), b"a,b\n")
    sha = API.model_info(MODEL).sha
    steps.same_bytes(download(MODEL, "config.json", revision=sha), CONFIG)


@step
def snapshot() -> None:
    """Download a whole model, equal byte by byte."""
    folder = Path(snapshot_download(MODEL))
    for name, data in (("README.md", CARD), ("weights.bin", WEIGHTS), ("deep/er/x.txt", b"deep\n")):
        steps.same_bytes(folder / name, data)


@step
def hidden() -> None:
    """A private model is indistinguishable from a missing one."""
    failing("RepositoryNotFoundError", API.model_info, HIDDEN, token=BO_TOKEN)
    failing("RepositoryNotFoundError", API.model_info, "anna/no-such-model", token=BO_TOKEN)
    failing("RepositoryNotFoundError", download, HIDDEN, "config.json")
    failing("RepositoryNotFoundError", download, HIDDEN, "config.json", token=BO_TOKEN)
    steps.same_bytes(download(HIDDEN, "config.json", token=ANNA_TOKEN), CONFIG)


@step
def missing() -> None:
    """A missing file and a missing revision have distinct errors."""
    failing("EntryNotFoundError", download, MODEL, "no-such-file")
    failing("RevisionNotFoundError", download, MODEL, "config.json", revision="no-such")
    failing("RevisionNotFoundError", API.model_info, MODEL, revision="no-such")


@step
def strangers_write() -> None:
    """A stranger cannot write."""
    failing_status(
        403, API.upload_file, path_or_fileobj=b"x", path_in_repo="x.txt", repo_id=MODEL, **BO
    )


@step
def branches() -> None:
    """Create a branch, commit to it, delete it; list branches and tags."""
    needs(API, "create_branch")(MODEL, branch="try/it", **ANNA)
    API.upload_file(
        path_or_fileobj=b"b", path_in_repo="b.txt", repo_id=MODEL, revision="try/it", **ANNA
    )
    steps.same_bytes(download(MODEL, "b.txt", revision="try/it"), b"b")
    failing_status(409, API.create_branch, MODEL, branch="try/it", **ANNA)
    if hasattr(API, "list_repo_refs"):
        assert {ref.name for ref in API.list_repo_refs(MODEL).branches} == {"main", "try/it"}
    API.delete_branch(MODEL, branch="try/it", **ANNA)
    failing("RevisionNotFoundError", API.model_info, MODEL, revision="try/it")


@step
def tags() -> None:
    """Create a tag, read by it, delete it."""
    needs(API, "create_tag")(MODEL, tag="v1.0", tag_message="First", **ANNA)
    steps.same_bytes(download(MODEL, "config.json", revision="v1.0"), CONFIG)
    API.delete_tag(MODEL, tag="v1.0", **ANNA)
    failing("RevisionNotFoundError", API.model_info, MODEL, revision="v1.0")


@step
def tree() -> None:
    """Walk the tree, and request single paths."""
    entries = {entry.path: entry for entry in needs(API, "list_repo_tree")(MODEL, recursive=True)}
    assert entries["weights.bin"].lfs["size"] == len(WEIGHTS)
    assert "deep/er" in entries
    infos = needs(API, "get_paths_info")(MODEL, ["config.json", "deep"], expand=True)
    assert {entry.path for entry in infos} == {"config.json", "deep"}
    last = [entry.last_commit for entry in infos]
    ids = [commit["oid"] if isinstance(commit, dict) else commit.oid for commit in last]
    assert all(len(commit_id) == 40 for commit_id in ids)


@step
def history() -> None:
    """List the commits of a branch."""
    titles = [commit.title for commit in needs(API, "list_repo_commits")(MODEL)]
    assert len(titles) >= 4, titles
    assert any("weights.bin" in title for title in titles), titles


@step
def exists() -> None:
    """Check that a repository, revision and file exist."""
    assert needs(API, "repo_exists")(MODEL)
    assert not API.repo_exists("anna/no-such-model")
    assert not API.repo_exists(HIDDEN, token=BO_TOKEN)
    assert needs(API, "file_exists")(MODEL, "config.json")
    assert not API.file_exists(MODEL, "no-such-file")


@step
def metadata() -> None:
    """Request the metadata of a file without its bytes."""
    from huggingface_hub import hf_hub_url

    try:
        from huggingface_hub import get_hf_file_metadata
    except ImportError:
        raise NotInThisRelease("get_hf_file_metadata") from None
    file_metadata = get_hf_file_metadata(hf_hub_url(MODEL, "weights.bin"))
    assert file_metadata.commit_hash == API.model_info(MODEL).sha
    assert len(file_metadata.etag or "") == 64
    assert getattr(file_metadata, "size", len(WEIGHTS)) == len(WEIGHTS)


@step
def commit() -> None:
    """Commit additions, a copy and deletions together; a stale parent is refused."""
    if RELEASE < (0, 9):
        raise NotInThisRelease("create_commit with parent_commit")
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    before = API.model_info(MODEL).sha
    API.create_commit(
        repo_id=MODEL,
        operations=[
            CommitOperationAdd(path_in_repo="new.txt", path_or_fileobj=b"new"),
            CommitOperationDelete(path_in_repo="deep/er/x.txt"),
        ],
        commit_message="Two at once",
        parent_commit=before,
        **ANNA,
    )
    files = list(API.list_repo_files(MODEL))
    assert "new.txt" in files
    assert "deep/er/x.txt" not in files
    stale = [CommitOperationAdd(path_in_repo="other.txt", path_or_fileobj=b"other")]
    failing_status(
        412,
        API.create_commit,
        repo_id=MODEL,
        operations=stale,
        commit_message="Late",
        parent_commit=before,
        **ANNA,
    )


@step
def copy() -> None:
    """Copy an LFS file within a repository."""
    try:
        from huggingface_hub import CommitOperationCopy
    except ImportError:
        raise NotInThisRelease("CommitOperationCopy") from None
    API.create_commit(
        repo_id=MODEL,
        operations=[CommitOperationCopy("weights.bin", "copy.bin")],
        commit_message="Copy",
        **ANNA,
    )
    steps.same_bytes(download(MODEL, "copy.bin"), WEIGHTS)


@step
def delete_file() -> None:
    """Delete a file and a folder."""
    API.delete_file("config.json", repo_id=MODEL, **ANNA)
    assert "config.json" not in API.list_repo_files(MODEL)
    if hasattr(API, "delete_folder"):
        API.delete_folder("sub", repo_id=HIDDEN, **ANNA)
        assert "sub/w.safetensors" not in API.list_repo_files(HIDDEN, **ANNA)


@step
def squash() -> None:
    """Squash the history of a branch."""
    needs(API, "super_squash_history")(MODEL, **ANNA)
    assert len(API.list_repo_commits(MODEL)) == 1
    steps.same_bytes(download(MODEL, "weights.bin"), WEIGHTS)


@step
def visibility() -> None:
    """Change a public model to private and back."""
    if hasattr(API, "update_repo_visibility"):
        change = API.update_repo_visibility
    else:
        change = API.update_repo_settings
    change(MODEL, private=True, **ANNA)
    failing("RepositoryNotFoundError", API.model_info, MODEL, token=BO_TOKEN)
    change(MODEL, private=False, **ANNA)
    assert API.model_info(MODEL, token=BO_TOKEN).private is False


@step
def move() -> None:
    """Move a model; its old name redirects to the new one."""
    needs(API, "move_repo")(MODEL, MODEL + "-moved", **ANNA)
    assert (API.model_info(MODEL).sha) == API.model_info(MODEL + "-moved").sha
    if RELEASE >= (0, 9):  # earlier clients fail to download after a relative redirect
        steps.same_bytes(download(MODEL, "weights.bin"), WEIGHTS)
    API.move_repo(MODEL + "-moved", MODEL, **ANNA)


@step
def delete_repo() -> None:
    """Delete repositories; a missing one is an error."""
    failing_status(403, API.delete_repo, MODEL, **BO)
    API.delete_repo(MODEL, **ANNA)
    API.delete_repo(HIDDEN, **ANNA)
    API.delete_repo(DATASET, repo_type="dataset", **ANNA)
    API.delete_repo(f"anna/{RUN}space", repo_type="space", **ANNA)
    failing("RepositoryNotFoundError", API.model_info, MODEL, **ANNA)
    failing_status(404, API.delete_repo, MODEL, **ANNA)


assert huggingface_hub.__version__ == os.environ["RELEASE"], huggingface_hub.__version__
steps.run_all()
