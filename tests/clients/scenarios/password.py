"""The table of 2021, with releases 0.0.13 to 0.2.1 as they were published.

Their host is built in: ``HfApi(endpoint=…)`` directs the calls of the API to the hub, and the
addresses that ``hf_hub_url`` returns get the hub's host. Only for
``snapshot_download`` is a constant of the release replaced.
"""

import inspect
import io
import os
from collections.abc import Callable
from typing import Any

import huggingface_hub
from huggingface_hub import HfApi, cached_download, hf_hub_url, snapshot_download
from requests.exceptions import HTTPError
from steps import (
    ANNA_TOKEN,
    BO_TOKEN,
    PASSWORD,
    RUN,
    URL,
    NotInThisRelease,
    fails,
    file_of,
    needs,
    noise,
    run_all,
    same_bytes,
    step,
)

API: Any = HfApi(endpoint=URL)
MODEL = f"{RUN}model"
OLDER = f"{RUN}older"
CARD = (
    b"---\nlicense: apache-2.0\nlanguage: ru\npipeline_tag: text-classification\n"
    + f"tags:\n- t-{RUN}\n---\n# Model\n".encode()
)
CONFIG = b'{"model_type": "bert", "architectures": ["BertModel"]}'
WEIGHTS = noise(12_000_000)
TOKEN: dict[str, Any] = {}


def status_of(error: Any) -> Any:
    """Return the status of an old error; some are raised again without their response."""
    while error.response is None and error.__cause__ is not None:
        error = error.__cause__
    return error.response.status_code


def local(url: Any) -> Any:
    """Return the hub's address for an address of the built-in host."""
    assert url.startswith("https://huggingface.co/"), url
    return URL + url[len("https://huggingface.co") :]


def api_has(function: Callable[..., Any], parameter: Any) -> Any:
    """Return whether a method of this release has the parameter."""
    return parameter in inspect.signature(function).parameters


@step
def login() -> None:
    """POST /api/login."""
    fails(HTTPError, API.login, "anna", "wrong", status=401)
    TOKEN["session"] = API.login("anna", PASSWORD)
    assert isinstance(TOKEN["session"], str)
    assert TOKEN["session"]


@step
def whoami() -> None:
    """GET /api/whoami (whoami-v2 from 0.0.14)."""
    me = API.whoami(TOKEN["session"])
    if isinstance(me, tuple):
        assert me == ("anna", ["acme"]), me
        assert ",".join(me[1]) == "acme"
    else:
        assert me["name"] == "anna"
        assert me["fullname"] == "Anna Example"
        assert me["email"] == "anna@example.org"
        assert [org["name"] for org in me["orgs"]] == ["acme"]
        assert isinstance(me["apiToken"], str)
        assert isinstance(me["orgs"][0]["apiToken"], str)
    error = fails(HTTPError, API.whoami, "no-such-token")
    assert status_of(error) == 401


@step
def create() -> None:
    """POST /api/repos/create."""
    token = TOKEN["session"]
    assert API.create_repo(token=token, name=OLDER) == f"{URL}/anna/{OLDER}"
    assert API.create_repo(token=token, name=MODEL) == f"{URL}/anna/{MODEL}"
    for kind, prefix in (("dataset", "datasets/"), ("space", "spaces/")):
        extra = {}
        if kind == "space" and api_has(API.create_repo, "space_sdk"):
            extra["space_sdk"] = "static"
        repo = API.create_repo(token=token, name=f"{RUN}{kind}", repo_type=kind, **extra)
        assert repo == f"{URL}/{prefix}anna/{RUN}{kind}", repo
    url = API.create_repo(token=token, name=MODEL, organization="acme", private=True)
    assert url == f"{URL}/acme/{MODEL}"


@step
def create_again() -> None:
    """POST /api/repos/create of a name that is taken."""
    taken = {"token": TOKEN["session"], "name": MODEL}
    error = fails(HTTPError, API.create_repo, status=409, **taken)
    assert " - " in str(error), error  # the hub's reason, behind the status
    assert API.create_repo(exist_ok=True, **taken) == f"{URL}/anna/{MODEL}"


@step
def create_elsewhere() -> None:
    """POST /api/repos/create in another's name is refused."""
    fails(HTTPError, API.create_repo, token=BO_TOKEN, name="x", organization="acme", status=403)
    error = fails((HTTPError, ValueError), API.create_repo, token="no-such-token", name="x")
    assert isinstance(error, ValueError) or status_of(error) == 401


def upload(source: Any, path: Any, kind: Any = None, name: str = MODEL, **more: Any) -> Any:
    """Upload as clients of 2021 did."""
    repo_id = more.pop("repo_id", f"anna/{name}")
    more.setdefault("token", TOKEN["session"])
    return API.upload_file(
        path_or_fileobj=source, path_in_repo=path, repo_id=repo_id, repo_type=kind, **more
    )


@step
def upload_small() -> None:
    """POST /api/{id}/upload/{rev}/{path}, small files."""
    blob = f"{URL}/anna/{MODEL}/blob/main"
    assert upload(file_of(CARD, "README.md"), "README.md") == f"{blob}/README.md"
    assert upload(io.BytesIO(CONFIG), "config.json") == f"{blob}/config.json"
    assert upload(io.BytesIO(b"a,b\n"), "deep/er/table.csv") == f"{blob}/deep/er/table.csv"


@step
def upload_large() -> None:
    """POST /api/{id}/upload/{rev}/{path}, a large file."""
    url = upload(file_of(WEIGHTS), "weights.bin")
    assert url == f"{URL}/anna/{MODEL}/blob/main/weights.bin"


@step
def upload_kinds() -> None:
    """POST /api/{datasets, spaces}/{id}/upload/{rev}/{path}."""
    url = upload(io.BytesIO(b"a,b\n1,2\n"), "train.csv", "dataset", f"{RUN}dataset")
    assert url == f"{URL}/datasets/anna/{RUN}dataset/blob/main/train.csv"
    url = upload(io.BytesIO(b"<p>"), "index.html", "space", f"{RUN}space")
    assert url == f"{URL}/spaces/anna/{RUN}space/blob/main/index.html"


@step
def upload_same() -> None:
    """POST …/upload of an existing file: 409, accepted with identical_ok."""
    url = upload(io.BytesIO(CONFIG), "config.json", identical_ok=True)
    assert url.endswith(("/blob/main/config.json", "/resolve/main/config.json")), url
    fails(HTTPError, upload, io.BytesIO(CONFIG), "config.json", identical_ok=False, status=409)


@step
def upload_without_right() -> None:
    """POST …/upload by a stranger is refused."""
    fails(HTTPError, upload, io.BytesIO(b"x"), "x.txt", token=BO_TOKEN, status=403)
    error = fails(
        HTTPError,
        upload,
        io.BytesIO(b"x"),
        "x.txt",
        token=BO_TOKEN,
        repo_id=f"acme/{MODEL}",
    )
    assert status_of(error) == 404  # private: indistinguishable from a missing one


@step
def model_info() -> None:
    """GET /api/models/{id}."""
    info = API.model_info(f"anna/{MODEL}")
    assert info.modelId == f"anna/{MODEL}"
    assert len(info.sha) == 40
    files = [sibling.rfilename for sibling in info.siblings]
    wanted = [".gitattributes", "README.md", "config.json", "deep/er/table.csv", "weights.bin"]
    assert files == wanted, files
    assert info.pipeline_tag == "text-classification"
    assert f"t-{RUN}" in info.tags
    assert info.lastModified.endswith("Z")
    repr(info), str(info)


@step
def model_info_revision() -> None:
    """GET /api/models/{id}/revision/{rev}."""
    sha = API.model_info(f"anna/{MODEL}").sha
    for revision in ("main", sha):
        assert API.model_info(f"anna/{MODEL}", revision=revision).sha == sha
    fails(HTTPError, API.model_info, f"anna/{MODEL}", revision="no-such", status=404)


@step
def private_info() -> None:
    """GET /api/models/{id} of a private model: owner only."""
    assert API.model_info(f"acme/{MODEL}", token=TOKEN["session"]).private is True
    fails(HTTPError, API.model_info, f"acme/{MODEL}", status=401)
    fails(HTTPError, API.model_info, f"acme/{MODEL}", token=BO_TOKEN, status=404)
    fails(HTTPError, API.model_info, "anna/no-such-model", token=BO_TOKEN, status=404)


def ids(models: Any) -> Any:
    """Return the ids of listed models."""
    return [model.modelId for model in models]


@step
def list_models() -> None:
    """GET /api/models."""
    listed = ids(API.list_models())
    assert f"anna/{MODEL}" in listed
    assert f"acme/{MODEL}" not in listed  # private
    if hasattr(API, "model_list"):  # its name up to 0.1.2
        assert ids(API.model_list()) == listed


@step
def list_models_filter() -> None:
    """GET /api/models?filter=…, one and several."""
    assert ids(API.list_models(filter=f"t-{RUN}")) == [f"anna/{MODEL}"]
    both = API.list_models(filter=(f"t-{RUN}", "text-classification"))
    assert ids(both) == [f"anna/{MODEL}"]
    assert ids(API.list_models(filter=(f"t-{RUN}", "no-such-tag"))) == []
    assert "README.md" in [sibling.rfilename for sibling in both[0].siblings]


@step
def list_models_sorted() -> None:
    """GET /api/models?sort=…&direction=…&limit=…."""
    newest = API.list_models(sort="lastModified", direction=-1, limit=2, full=True)
    assert len(newest) == 2
    assert ids(newest) == [f"anna/{MODEL}", f"anna/{OLDER}"]
    every = API.list_models(sort="lastModified", direction=1, full=True)
    stamps = [model.lastModified for model in every]
    assert stamps == sorted(stamps)
    assert len(set(stamps)) > 1
    assert len(API.list_models(limit=1)) == 1


@step
def list_models_full() -> None:
    """GET /api/models?full=True and without."""
    full = {model.modelId: model for model in API.list_models(full=True)}[f"anna/{MODEL}"]
    assert "weights.bin" in [sibling.rfilename for sibling in full.siblings]
    assert len(full.sha) == 40
    bare = {model.modelId: model for model in API.list_models()}[f"anna/{MODEL}"]
    assert not bare.siblings


@step
def list_models_config() -> None:
    """GET /api/models?config=True."""
    if not api_has(API.list_models, "fetch_config"):
        raise NotInThisRelease("fetch_config")
    models = API.list_models(filter=f"t-{RUN}", fetch_config=True)
    assert models[0].config["model_type"] == "bert", models[0].config
    assert not API.list_models(filter=f"t-{RUN}", fetch_config=False)[0].config


@step
def datasets() -> None:
    """GET /api/datasets and /api/datasets/{id}."""
    listed = [dataset.id for dataset in needs(API, "list_datasets")()]
    assert f"anna/{RUN}dataset" in listed
    info = API.dataset_info(f"anna/{RUN}dataset")
    assert "train.csv" in [sibling.rfilename for sibling in info.siblings]
    assert info.id == f"anna/{RUN}dataset"


@step
def list_repos_objs() -> None:
    """GET /api/repos/ls."""
    rows = {row.filename: row for row in API.list_repos_objs(TOKEN["session"])}
    row = rows[f"{MODEL}/weights.bin"]
    assert row.size == len(WEIGHTS)
    assert row.commit == API.model_info(f"anna/{MODEL}").sha
    assert row.lastModified.endswith("Z")
    rows = API.list_repos_objs(TOKEN["session"], organization="acme")
    assert f"{MODEL}/.gitattributes" in [row.filename for row in rows]
    error = fails(HTTPError, API.list_repos_objs, "no-such-token")
    assert status_of(error) == 401


@step
def visibility() -> None:
    """PUT /api/{id}/settings, /api/{datasets, spaces}/{id}/settings."""
    change = needs(API, "update_repo_visibility")
    token = TOKEN["session"]
    for kind, name in ((None, MODEL), ("dataset", f"{RUN}dataset"), ("space", f"{RUN}space")):
        for private in (True, False):
            response = change(token=token, name=name, private=private, repo_type=kind)
            assert response["private"] is private, response
    change(token=token, name=MODEL, private=False, organization="acme")
    assert API.model_info(f"acme/{MODEL}").private is False
    change(token=token, name=MODEL, private=True, organization="acme")
    fails(HTTPError, API.model_info, f"acme/{MODEL}", status=401)


@step
def download() -> None:
    """GET /{id}/resolve/{rev}/{path} by cached_download."""
    folder = os.environ["HOME"] + "/downloads"
    for name, data in (("config.json", CONFIG), ("weights.bin", WEIGHTS)):
        url = local(hf_hub_url(f"anna/{MODEL}", name))
        same_bytes(cached_download(url, cache_dir=folder), data)
        same_bytes(cached_download(url, cache_dir=folder), data)  # now from the cache
    missing = local(hf_hub_url(f"anna/{MODEL}", "no-such-file"))
    fails(HTTPError, cached_download, missing, cache_dir=folder, status=404)


@step
def download_private() -> None:
    """GET /{id}/resolve/{rev}/{path} of a private model."""
    folder = os.environ["HOME"] + "/downloads"
    upload(io.BytesIO(CONFIG), "config.json", repo_id=f"acme/{MODEL}")
    url = local(hf_hub_url(f"acme/{MODEL}", "config.json"))
    fails(HTTPError, cached_download, url, cache_dir=folder, status=401)
    path = cached_download(url, cache_dir=folder, use_auth_token=TOKEN["session"])
    same_bytes(path, CONFIG)


@step
def snapshot() -> None:
    """Download a whole model by snapshot_download (its host's constant replaced)."""
    from huggingface_hub import file_download, hf_api

    snapshots = __import__("sys").modules["huggingface_hub.snapshot_download"]
    template = f"{URL}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    downloads: Any = file_download
    downloads.HUGGINGFACE_CO_URL_TEMPLATE = template
    calls: Any = hf_api
    calls.ENDPOINT = URL
    snapshots.HfApi = lambda: HfApi(endpoint=URL)
    folder = snapshot_download(f"anna/{MODEL}", cache_dir=os.environ["HOME"] + "/snapshots")
    same_bytes(f"{folder}/config.json", CONFIG)
    same_bytes(f"{folder}/weights.bin", WEIGHTS)
    same_bytes(f"{folder}/deep/er/table.csv", b"a,b\n")


@step
def delete_file() -> None:
    """DELETE /api/{id}/delete/{rev}/{path}."""
    delete = needs(API, "delete_file")
    delete("config.json", f"anna/{MODEL}", token=TOKEN["session"])
    files = [sibling.rfilename for sibling in API.model_info(f"anna/{MODEL}").siblings]
    assert "config.json" not in files
    assert "weights.bin" in files


@step
def delete_repo() -> None:
    """DELETE /api/repos/delete."""
    token = TOKEN["session"]
    fails(HTTPError, API.delete_repo, token=BO_TOKEN, name=MODEL, organization="anna", status=403)
    for name in (MODEL, OLDER):
        API.delete_repo(token=token, name=name)
    API.delete_repo(token=token, name=MODEL, organization="acme")
    for kind in ("dataset", "space"):
        API.delete_repo(token=token, name=f"{RUN}{kind}", repo_type=kind)
    fails(HTTPError, API.model_info, f"anna/{MODEL}", token=token, status=404)
    fails(HTTPError, API.delete_repo, token=token, name=MODEL, status=404)


@step
def logout() -> None:
    """POST /api/logout."""
    API.logout(TOKEN["session"])
    error = fails(HTTPError, API.whoami, TOKEN["session"])
    assert status_of(error) == 401
    # The command line of these releases takes 400 as "an access token, not a session".
    fails(HTTPError, API.logout, ANNA_TOKEN, status=400)


assert huggingface_hub.__version__ == os.environ["RELEASE"], huggingface_hub.__version__
run_all()
