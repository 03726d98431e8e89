"""Git and the command line, with releases from 0.0.1 to today.

Nothing is replaced: releases that have the public Hub's host built in reach the hub by its
name (see front.py), the others follow HF_ENDPOINT. The class ``Repository`` is in releases 0.0.8
to 0.36; without it, the steps of git itself still run.
"""

import importlib
import inspect
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import huggingface_hub
import steps
from huggingface_hub import HfApi, hf_hub_url
from steps import ANNA_TOKEN, BO_TOKEN, PASSWORD, RUN, URL, NotInThisRelease, needs, noise, step

RELEASE = tuple(int(part) for part in huggingface_hub.__version__.split("."))
API: Any = HfApi()
HOME = Path(os.environ["HOME"])
BIN = Path(sys.executable).parent
OLD = BIN / "huggingface-cli"
CLI = OLD if OLD.exists() else BIN / "hf"
MODEL, PARTS, HIDDEN = f"{RUN}git", f"{RUN}git-parts", f"{RUN}git-hidden"
WEIGHTS = noise(3_000_000, seed=2)
MANY_PARTS = noise(2_500_001, seed=3)  # 13 parts of 200,000 bytes
CONFIG = b'{"model_type": "bert"}'
TOO_LARGE = "cli lfs-enable-largefiles" if RELEASE < (0, 35) else 'Run "hf lfs-enable-largefiles'


# -- programs ----------------------------------------------------------------------------------


def run(*command: str | Path, cwd: Any = None, stdin: str = "", ok: bool = True, **env: Any) -> Any:
    """Run a program without a terminal, so that passwords are read from ``stdin``."""
    result = subprocess.run(
        [str(argument) for argument in command],
        cwd=str(cwd or HOME),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **env},
        start_new_session=True,
    )
    output = result.stdout + result.stderr
    if ok is not None:
        assert (result.returncode == 0) is ok, f"{command} ended with {result.returncode}\n{output}"
    return output


def cli(*arguments: str | Path, **how: Any) -> Any:
    """Run the command of this release."""
    return run(CLI, *arguments, **how)


def knows(*command: str | Path) -> Any:
    """Return whether the release's command line has such a command."""
    help_text = cli(*command, "--help", ok=None).lower()
    return (
        "usage" in help_text
        and "invalid choice" not in help_text
        and "no such command" not in help_text
    )


def git(folder: Any, *arguments: str | Path, **how: Any) -> Any:
    """Run git in a work tree and return its output."""
    return run("git", *arguments, cwd=folder, **how)


def web(repo_id: str, token: Any = None) -> Any:
    """Return a repository's address for git, with credentials in it."""
    scheme, _, rest = f"{URL}/{repo_id}".partition("://")
    return f"{scheme}://user:{token}@{rest}" if token else f"{scheme}://{rest}"


def call(method: Any, path: Any, body: Any = None, token: Any = ANNA_TOKEN) -> Any:
    """Send an HTTP request and return the parsed response."""
    headers = {"Content-Type": "application/json"}
    headers.update({"Authorization": f"Bearer {token}"} if token else {})
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(URL + path, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request) as response:
        text = response.read()
        return json.loads(text) if text and method != "HEAD" else response.status


def make(name: str, **more: Any) -> None:
    """Create a repository over HTTP; the release's own way is another step."""
    call("POST", "/api/repos/create", {"name": name, **more})


def tip(name: str, revision: str = "main") -> Any:
    """Return the commit of a branch, from the API."""
    return call("GET", f"/api/models/anna/{name}/revision/{revision}")["sha"]


def resolved(name: str, path: Any, revision: str = "main") -> Any:
    """Return the bytes of a file over HTTP."""
    request = urllib.request.Request(
        f"{URL}/anna/{name}/resolve/{revision}/{path}",
        headers={"Authorization": f"Bearer {ANNA_TOKEN}"},
    )
    with urllib.request.urlopen(request) as response:
        return response.read()


def repository(folder: Any, *, token: str | bool = True, **more: Any) -> Any:
    """Open the release's ``Repository`` with its parameter for the token."""
    try:
        from huggingface_hub import Repository
    except ImportError:
        try:
            Repository = importlib.import_module("huggingface_hub.repository").Repository
        except ImportError:
            raise NotInThisRelease("Repository") from None
    names = inspect.signature(Repository.__init__).parameters
    named = "token" if "token" in names else "use_auth_token"
    for wanted in more:
        if wanted not in names:
            raise NotInThisRelease(f"Repository({wanted}=…)")
    if RELEASE < (0, 0, 16) and "git_user" in names:  # later ones request them from the hub
        more.update(git_user="Anna Example", git_email="anna@example.org")
    return Repository(str(folder), **{named: token}, **more)


def write(folder: Any, name: str, data: bytes) -> None:
    """Write a file into a work tree."""
    path = Path(folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


# -- the command line ----------------------------------------------------------------------------


@step
def login() -> None:
    """Sign in on the command line"""
    (HOME / ".gitconfig").write_text(
        "[user]\nname = Anna Example\nemail = anna@example.org\n"
        "[credential]\nhelper = store\n[init]\ndefaultBranch = master\n"  # git's default of 2021
        "[lfs]\nconcurrenttransfers = 1\n"  # or git-lfs starts eight agents for two files
    )
    if RELEASE < (0, 2):
        assert "Invalid" in cli("login", stdin="anna\nwrong\n", ok=False)
        cli("login", stdin=f"anna\n{PASSWORD}\n")
    elif CLI != OLD:
        cli("auth", "login", "--token", ANNA_TOKEN, "--add-to-git-credential")
    elif "--token" in cli("login", "--help"):
        cli("login", "--token", ANNA_TOKEN, "--add-to-git-credential")
    else:
        cli("login", stdin=f"{ANNA_TOKEN}\nY\n")


@step
def whoami() -> None:
    """Show the signed-in user on the command line"""
    output = cli("whoami") if CLI == OLD else cli("auth", "whoami")
    assert "anna" in output, output
    assert "acme" in output, output


@step
def repo_create() -> None:
    """Create repositories on the command line"""
    create = ("repo", "create") if CLI == OLD else ("repos", "create")
    yes = () if CLI != OLD or "--yes" not in cli(*create, "--help") else ("-y",)
    by_organization = "--organization" in cli(*create, "--help")
    output = cli(*create, MODEL if RELEASE < (0, 36) else f"anna/{MODEL}", *yes)
    assert f"anna/{MODEL}" in output, output
    at_acme = (MODEL, "--organization", "acme") if by_organization else (f"acme/{MODEL}",)
    kind = ("--type", "dataset") if "--type" in cli(*create, "--help") else ()
    kind = ("--repo-type", "dataset") if "--repo-type" in cli(*create, "--help") else kind
    assert f"acme/{MODEL}" in cli(*create, *at_acme, *kind, *yes)
    kinds = "datasets" if kind else "models"
    assert call("GET", f"/api/{kinds}/acme/{MODEL}")["id"] == f"acme/{MODEL}"
    cli(*create, *at_acme, *kind, *yes, ok=False)  # it is there


@step
def ls_files() -> None:
    """List stored files on the command line"""
    if RELEASE > (0, 4, 0):
        raise NotInThisRelease("repo ls-files")
    output = cli("repo", "ls-files")
    assert f"{MODEL}/.gitattributes" in output, output
    assert "LastModified" in output


# -- git itself ----------------------------------------------------------------------------------


@step
def by_git() -> None:
    """Clone, commit and push with git, by the credentials that the login stored"""
    stores = RELEASE >= (0, 0, 16)
    address = web(f"anna/{MODEL}", None if stores else ANNA_TOKEN)
    if stores:
        assert "://" in (HOME / ".git-credentials").read_text()
    git(HOME, "clone", address, "by-git")
    folder = HOME / "by-git"
    assert sorted(os.listdir(folder)) == [".git", ".gitattributes"]
    write(folder, "config.json", CONFIG)
    git(folder, "add", ".")
    git(folder, "commit", "-m", "By git")
    git(folder, "push")
    assert git(folder, "rev-parse", "HEAD").strip() == tip(MODEL)
    assert resolved(MODEL, "config.json") == CONFIG


@step
def by_git_lfs() -> None:
    """Track files with LFS, push them, and get the same bytes by git and over HTTP"""
    folder = HOME / "by-git"
    git(folder, "lfs", "install")
    git(folder, "lfs", "track", "*.weights")
    write(folder, "model.weights", WEIGHTS)
    git(folder, "add", ".")
    git(folder, "commit", "-m", "Weights")
    git(folder, "push")
    assert b"\n*.weights filter=lfs " in resolved(MODEL, ".gitattributes")
    assert git(folder, "show", "HEAD:model.weights").startswith("version https://git-lfs")
    assert resolved(MODEL, "model.weights") == WEIGHTS
    git(HOME, "clone", web(f"anna/{MODEL}"), "by-git-again")  # public: without an account
    steps.same_bytes(HOME / "by-git-again" / "model.weights", WEIGHTS)
    assert "ok" in git(HOME / "by-git-again", "lfs", "fsck").lower()


@step
def large_files() -> None:
    """Push large files in parts after lfs-enable-largefiles, which a refused push names"""
    make(PARTS, lfsmultipartthresh=1_000_000)
    folder = HOME / "parts"
    git(HOME, "clone", web(f"anna/{PARTS}", ANNA_TOKEN), "parts")
    write(folder, "large.bin", MANY_PARTS)
    write(folder, "small.bin", CONFIG)
    git(folder, "add", ".")
    git(folder, "commit", "-m", "Large")
    output = git(folder, "push", ok=False)
    assert TOO_LARGE in output, output
    cli("lfs-enable-largefiles", folder)
    before = steps.parts_received()
    git(folder, "push")
    assert steps.parts_received() == before + 13  # the small one arrived with the push before
    assert resolved(PARTS, "large.bin") == MANY_PARTS
    assert resolved(PARTS, "small.bin") == CONFIG
    git(HOME, "clone", web(f"anna/{PARTS}"), "parts-again")
    steps.same_bytes(HOME / "parts-again" / "large.bin", MANY_PARTS)


@step
def tokens() -> None:
    """Tokens in every older format: Bearer, password of git, beside any user name"""
    make(HIDDEN, private=True)
    for token in [ANNA_TOKEN, *os.environ["OLD_TOKENS"].split()]:
        me = API.whoami(token)
        assert (me[0] if isinstance(me, tuple) else me["name"]) == "anna"
        assert "refs/heads/main" in git(HOME, "ls-remote", web(f"anna/{HIDDEN}", token))
    scheme, _, rest = web(f"anna/{HIDDEN}").partition("://")
    word = PASSWORD.replace(" ", "%20")
    assert "refs/heads/main" in git(HOME, "ls-remote", f"{scheme}://Anna:{word}@{rest}")
    git(HOME, "ls-remote", web(f"anna/{HIDDEN}", BO_TOKEN), ok=False)


@step
def without_credentials() -> None:
    """A push without credentials makes git ask for a name; one by a stranger is refused"""
    folder = HOME / "by-git-again"
    write(folder, "x.txt", b"x")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "No")
    alone = ("-c", "credential.helper=", "push")
    output = git(folder, *alone, ok=False, GIT_TERMINAL_PROMPT="0")
    assert "could not read Username" in output, output
    output = git(folder, *alone, web(f"anna/{MODEL}", BO_TOKEN), "HEAD:main", ok=False)
    assert "You don't have the rights" in output, output


# -- Repository ----------------------------------------------------------------------------------


@step
def class_push() -> None:
    """Repository: clone, add, commit, push; the commit has a page"""
    make(f"{MODEL}-class")
    folder = HOME / "class"
    repo = repository(folder, clone_from=f"{URL}/anna/{MODEL}-class")
    repo.lfs_track(["*.pack"])
    write(folder, "model.pack", WEIGHTS)
    write(folder, "model.bin", WEIGHTS[:1000])
    write(folder, "a.txt", b"a")
    repo.git_add()
    repo.git_commit("Files")
    url = repo.git_push()
    head = repo.git_head_hash()
    assert head == tip(f"{MODEL}-class")
    assert url.startswith(f"{URL}/anna/{MODEL}-class/commit/{head}") or "@" in url, url
    assert call("HEAD", f"/anna/{MODEL}-class/commit/{head}") == 200
    assert resolved(f"{MODEL}-class", "model.pack") == WEIGHTS
    assert resolved(f"{MODEL}-class", "model.bin") == WEIGHTS[:1000]


def clone_of(name: str = "class") -> Any:
    """Return the clone of an earlier step."""
    return repository(HOME / name)


@step
def class_pull() -> None:
    """Repository: pull commits of the API and of another clone"""
    repo = clone_of()
    other = HOME / "class-other"
    git(HOME, "clone", web(f"anna/{MODEL}-class", ANNA_TOKEN), other)
    write(other, "b.txt", b"b")
    git(other, "add", ".")
    git(other, "commit", "-m", "Other")
    git(other, "push")
    write(HOME / "class", "c.txt", b"c")
    repo.git_add()
    repo.git_commit("Mine")
    error = steps.fails(Exception, repo.git_push)  # git's reason: fetch first
    assert "fetch first" in str(error) or "rejected" in str(error), error
    repo.git_pull(rebase=True)
    assert (HOME / "class" / "b.txt").read_bytes() == b"b"
    repo.git_push()
    assert repo.git_head_hash() == tip(f"{MODEL}-class")
    if hasattr(API, "upload_file") and RELEASE >= (0, 5):
        API.upload_file(
            path_or_fileobj=b"api",
            path_in_repo="api.txt",
            repo_id=f"anna/{MODEL}-class",
            token=ANNA_TOKEN,
        )
        repo.git_pull()
        assert (HOME / "class" / "api.txt").read_bytes() == b"api"
        assert repo.git_head_hash() == tip(f"{MODEL}-class")


@step
def class_folder_with_files() -> None:
    """Repository: a folder with files becomes a clone"""
    make(f"{MODEL}-filled")
    folder = HOME / "filled"
    write(folder, "here.txt", b"here")
    try:
        repo = repository(folder, clone_from=f"{URL}/anna/{MODEL}-filled")
    except OSError as error:
        if "non-empty folder" not in str(error):
            raise
        raise NotInThisRelease("Repository in a folder with files") from None
    needs(repo, "push_to_hub")("Filled")
    assert resolved(f"{MODEL}-filled", "here.txt") == b"here"
    assert ".gitattributes" in os.listdir(folder)


@step
def class_branches() -> None:
    """Repository: create and push another branch"""
    if "revision" not in inspect.signature(type(clone_of()).__init__).parameters:
        raise NotInThisRelease("Repository(revision=…)")
    address = f"{URL}/anna/{MODEL}-class"
    repo = repository(HOME / "branch", clone_from=address, revision="try/it")
    assert repo.current_branch == "try/it"
    write(HOME / "branch", "only-here.txt", b"here")
    repo.git_add()
    repo.git_commit("Try")
    repo.git_push(upstream="origin try/it")
    assert repo.git_head_hash() == tip(f"{MODEL}-class", "try%2Fit")
    repo.git_checkout("main")
    assert not (HOME / "branch" / "only-here.txt").exists()


@step
def class_tags() -> None:
    """Repository: create, list and delete tags on both sides, annotated and plain"""
    repo = clone_of()
    add = needs(repo, "add_tag")
    add("v1", remote="origin")
    add("v2", message="Second", remote="origin")
    for tag in ("v1", "v2"):
        assert repo.tag_exists(tag)
        assert repo.tag_exists(tag, remote="origin")
        assert resolved(f"{MODEL}-class", "a.txt", tag) == b"a"
    refs = call("GET", f"/api/models/anna/{MODEL}-class/refs")
    assert {"v1", "v2"} <= {ref["name"] for ref in refs["tags"]}
    repo.delete_tag("v1", remote="origin")
    assert not repo.tag_exists("v1", remote="origin")


@step
def class_background() -> None:
    """Repository: push in the background and wait for it"""
    repo = clone_of()
    if "blocking" not in inspect.signature(repo.git_push).parameters:
        raise NotInThisRelease("git_push(blocking=False)")
    write(HOME / "class", "more.bin", WEIGHTS[:500_000])
    repo.git_add()
    repo.git_commit("Background")
    _, push = repo.git_push(blocking=False)
    repo.wait_for_commands()
    assert push.is_done
    assert push.status == 0, push.stderr
    assert repo.git_head_hash() == tip(f"{MODEL}-class")


@step
def class_commit() -> None:
    """Repository: the block `with repo.commit(…)`"""
    commit = needs(clone_of(), "commit")
    before = Path.cwd()
    try:
        with commit("In a block"):
            Path("block.txt").write_text("block")
    finally:
        os.chdir(before)
    assert resolved(f"{MODEL}-class", "block.txt") == b"block"


@step
def class_auto_track() -> None:
    """Repository: large files are tracked automatically"""
    repo = clone_of()
    needs(repo, "auto_track_large_files")
    folder = HOME / "class"
    write(folder, "large.dat", noise(11_000_000, seed=4))
    assert "large.dat" in repo.auto_track_large_files()
    repo.git_add()
    repo.git_commit("Large")
    repo.git_push()
    shown = git(folder, "show", "HEAD:large.dat")
    assert shown.startswith("version https://git-lfs"), shown[:200]


@step
def class_skip_lfs() -> None:
    """Repository: a clone without the bytes of LFS files"""
    address = f"{URL}/anna/{MODEL}-class"
    repository(HOME / "skipped", clone_from=address, skip_lfs_files=True)
    pointer = (HOME / "skipped" / "model.pack").read_bytes()
    assert pointer.startswith(b"version https://git-lfs"), pointer[:50]


@step
def class_private() -> None:
    """Repository: only the owner clones a private one"""
    repository(HOME / "hidden", clone_from=f"{URL}/anna/{HIDDEN}", token=ANNA_TOKEN)
    assert (HOME / "hidden" / ".gitattributes").exists()
    steps.fails(
        Exception,
        repository,
        HOME / "hidden-bo",
        clone_from=f"{URL}/anna/{HIDDEN}",
        token=BO_TOKEN,
    )


@step
def class_large() -> None:
    """Repository: large files go in parts, with small ones in the same push"""
    make(f"{PARTS}-class", lfsmultipartthresh=1_000_000)
    folder = HOME / "class-parts"
    repo = repository(folder, clone_from=f"{URL}/anna/{PARTS}-class")
    repo.lfs_enable_largefiles()
    write(folder, "large.bin", MANY_PARTS)
    write(folder, "small.bin", CONFIG)
    repo.git_add()
    repo.git_commit("Large")
    before = steps.parts_received()
    repo.git_push()
    assert steps.parts_received() == before + 14
    assert resolved(f"{PARTS}-class", "large.bin") == MANY_PARTS
    assert resolved(f"{PARTS}-class", "small.bin") == CONFIG


# -- downloads of the era ------------------------------------------------------------------------


@step
def cached() -> None:
    """Download with cached_download, twice, private files too"""
    try:
        from huggingface_hub import cached_download
    except ImportError:
        raise NotInThisRelease("cached_download") from None
    for name, data in (("config.json", CONFIG), ("model.weights", WEIGHTS)):
        for _ in range(2):
            steps.same_bytes(cached_download(hf_hub_url(f"anna/{MODEL}", name)), data)
    hidden = hf_hub_url(f"anna/{HIDDEN}", ".gitattributes")
    named = "token" if "token" in inspect.signature(cached_download).parameters else None
    named = named or "use_auth_token"
    assert Path(cached_download(hidden, **{named: ANNA_TOKEN})).stat().st_size > 0
    steps.fails(Exception, cached_download, hidden, **{named: BO_TOKEN}, force_download=True)


@step
def downloaded() -> None:
    """Download with hf_hub_download at a branch and a commit"""
    download = needs(huggingface_hub, "hf_hub_download")
    for revision in (None, tip(MODEL)):
        steps.same_bytes(download(f"anna/{MODEL}", "model.weights", revision=revision), WEIGHTS)


@step
def snapshot() -> None:
    """Download a whole repository with snapshot_download"""
    folder = Path(needs(huggingface_hub, "snapshot_download")(f"anna/{MODEL}"))
    steps.same_bytes(folder / "config.json", CONFIG)
    steps.same_bytes(folder / "model.weights", WEIGHTS)


# -- mixins --------------------------------------------------------------------------------------


def mixin() -> Any:
    """Return a model whose weights are a file of bytes, without torch."""
    base = needs(huggingface_hub, "ModelHubMixin")

    class Model(base):  # type: ignore[misc,valid-type]  # known to the release only
        weights = b""

        def _save_pretrained(self, path: Any, *_: Any, **__: Any) -> None:
            path = Path(path)  # up to 0.0.16 the path of the file, later of the folder
            path = path if path.suffix == ".bin" else path / "pytorch_model.bin"
            path.write_bytes(self.weights)

        @classmethod
        def _from_pretrained(
            cls, model_id: Any = None, revision: Any = None, *_: Any, **__: Any
        ) -> Any:
            model = cls()
            path = huggingface_hub.hf_hub_download(model_id, "pytorch_model.bin", revision=revision)
            model.weights = Path(path).read_bytes()
            return model

    return Model


@step
def mixed_in() -> None:
    """Push a custom model by ModelHubMixin (without torch), and load it"""
    kind = mixin()
    model, name = kind(), f"{RUN}mixed"
    model.weights = WEIGHTS
    before = Path.cwd()
    os.chdir(HOME)
    try:
        push_mixin(model, name)
    finally:
        os.chdir(before)
    assert resolved(name, "pytorch_model.bin") == WEIGHTS
    assert json.loads(resolved(name, "config.json")) == {"size": 3}
    if hasattr(kind, "_from_pretrained") and RELEASE >= (0, 0, 17):
        assert kind.from_pretrained(f"anna/{name}").weights == WEIGHTS


def push_mixin(model: Any, name: str) -> None:
    """Push in the release's way: by a folder, by git, by its id."""
    names = inspect.signature(type(model).push_to_hub).parameters
    if "repo_id" in names:
        model.push_to_hub(repo_id=f"anna/{name}", config={"size": 3}, token=ANNA_TOKEN)
    elif "repo_path_or_name" in names:
        model.push_to_hub(repo_path_or_name=name, config={"size": 3})
    else:
        model.save_pretrained(name, config={"size": 3})
        type(model).push_to_hub(name, model_id=name)


# -- the command line again ----------------------------------------------------------------------


@step
def cli_upload() -> None:
    """Upload and download on the command line"""
    if not knows("upload"):
        raise NotInThisRelease("upload, download")
    make(f"{MODEL}-cli")
    write(HOME / "up", "weights.bin", WEIGHTS)
    write(HOME / "up", "sub/a.txt", b"a")
    cli("upload", f"anna/{MODEL}-cli", HOME / "up", ".")
    cli("upload", f"anna/{MODEL}-cli", HOME / "up" / "sub" / "a.txt", "b.txt")
    assert resolved(f"{MODEL}-cli", "b.txt") == b"a"
    output = cli("download", f"anna/{MODEL}-cli", "weights.bin", "sub/a.txt")
    assert "snapshots" in output, output
    cli("download", f"anna/{MODEL}-cli", "--local-dir", HOME / "down")
    steps.same_bytes(HOME / "down" / "weights.bin", WEIGHTS)
    steps.same_bytes(HOME / "down" / "sub" / "a.txt", b"a")


@step
def cli_cache() -> None:
    """List and delete cached revisions on the command line"""
    if knows("delete-cache"):
        assert f"anna/{MODEL}" in cli("scan-cache")
        delete_cached(tip(MODEL))
        assert f"anna/{MODEL} " not in cli("scan-cache", ok=None)
    elif knows("cache", "rm"):
        assert f"anna/{MODEL}" in cli("cache", "ls")
        cli("cache", "rm", f"model/anna/{MODEL}", "--yes")
        assert f"anna/{MODEL} " not in cli("cache", "ls")
    else:
        raise NotInThisRelease("delete-cache")


def delete_cached(revision: Any) -> None:
    """Answer ``delete-cache`` as a user does: edit its file of revisions, then confirm."""
    with subprocess.Popen(
        [str(CLI), "delete-cache", "--disable-tui"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "File to edit:" in line:
                break
        path = Path(line.split("File to edit:")[1].replace("\x1b[1m", "").split("\x1b")[0].strip())
        lines = path.read_text().splitlines()
        wanted = [entry.lstrip("# ") if revision in entry else entry for entry in lines]
        path.write_text("\n".join(wanted))
        output, _ = process.communicate("n\ny\ny\n", timeout=60)
        assert process.returncode == 0, output


# -- organizations -------------------------------------------------------------------------------


@step
def organizations() -> None:
    """Request an organization, its members, and a user"""
    members = needs(API, "list_organization_members")("acme")
    assert [member.username for member in members] == ["anna"]
    assert API.get_user_overview("anna").fullname == "Anna Example"
    if hasattr(API, "get_organization_overview"):
        assert API.get_organization_overview("acme").name == "acme"


@step
def logout() -> None:
    """Sign out on the command line"""
    cli("logout") if CLI == OLD else cli("auth", "logout")
    output = cli("whoami", ok=None) if CLI == OLD else cli("auth", "whoami", ok=None)
    assert "anna" not in output.split(), output
    shutil.rmtree(HOME / "class", ignore_errors=True)


assert huggingface_hub.__version__ == os.environ["RELEASE"], huggingface_hub.__version__
steps.run_all()
