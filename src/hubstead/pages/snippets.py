"""How to use a repository: lines to paste, with this hub's address."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hubstead.ids import Kind
from hubstead.repos import Repo, RepoDetails


@dataclass(frozen=True)
class Snippet:
    """Lines for one program, in a language."""

    name: str
    title: str
    language: str
    text: str
    shell: str = ""  # lines to run before, in a shell


@dataclass(frozen=True)
class Usage:
    """What the lines depend on: the repository, its facts, the hub and a revision."""

    repo: Repo
    public_url: str
    revision: str
    details: RepoDetails | None = None
    tags: Sequence[str] = ()

    @property
    def pinned(self) -> bool:
        """Whether the lines must name the revision."""
        return self.revision != self.repo.default_branch


def snippets_of(usage: Usage) -> list[Snippet]:
    """Return the programs that can use the repository, the most fitting first."""
    return [*_libraries(usage), *_everywhere(usage)]


def _libraries(usage: Usage) -> Iterator[Snippet]:
    repo, tags = usage.repo, set(usage.tags)
    if repo.kind is Kind.DATASET:
        yield _python(
            usage,
            "datasets",
            f'from datasets import load_dataset\n\ndata = load_dataset("{repo.full_name}"',
        )
    if repo.kind is not Kind.MODEL:
        return
    library = usage.details.library_name if usage.details else None
    if library == "transformers" or (library is None and "transformers" in tags):
        task = usage.details.pipeline_tag if usage.details else None
        first = f'"{task}", ' if task else ""
        yield _python(
            usage,
            "transformers",
            f'from transformers import pipeline\n\npipe = pipeline({first}model="{repo.full_name}"',
        )
    elif library == "diffusers":
        yield _python(
            usage,
            "diffusers",
            "from diffusers import DiffusionPipeline\n\n"
            f'pipe = DiffusionPipeline.from_pretrained("{repo.full_name}"',
        )
    elif library == "sentence-transformers":
        yield _python(
            usage,
            "sentence-transformers",
            "from sentence_transformers import SentenceTransformer\n\n"
            f'model = SentenceTransformer("{repo.full_name}"',
        )
    if "gguf" in tags and not usage.pinned:
        host = usage.public_url.partition("://")[2].rstrip("/")
        insecure = "" if usage.public_url.startswith("https:") else " --insecure"
        lines = f"{_export(usage)}\nllama-server -hf {repo.full_name}"
        yield Snippet("llama.cpp", "llama.cpp", "bash", lines)
        if "/" not in host:
            text = f"ollama pull{insecure} {host}/{repo.full_name}"
            yield Snippet("ollama", "ollama", "bash", text)


def _python(usage: Usage, name: str, call: str) -> Snippet:
    end = f', revision="{usage.revision}")' if usage.pinned else ")"
    return Snippet(name, name, "python", f"{call}{end}", shell=_export(usage))


def _everywhere(usage: Usage) -> Iterator[Snippet]:
    repo = usage.repo
    kind = "" if repo.kind is Kind.MODEL else f" --repo-type {repo.kind.value}"
    revision = f" --revision {usage.revision}" if usage.pinned else ""
    download = f"hf download {repo.full_name}{kind}{revision}"
    yield Snippet("hf", "hf", "bash", f"{_export(usage)}\n{download}")
    address = f"{usage.public_url}/{repo.repo_id.web_path}"
    branch = f" --branch {usage.revision}" if usage.pinned else ""
    yield Snippet("git", "git", "bash", f"git lfs install\ngit clone{branch} {address}")


def _export(usage: Usage) -> str:
    token = ["export HF_TOKEN=$YOUR_TOKEN"] if usage.repo.private or usage.repo.gated else []
    return "\n".join([f"export HF_ENDPOINT={usage.public_url}", *token])


def ways_in(usage: Usage) -> list[Snippet]:
    """Return the ways to put the first files into an empty repository."""
    repo = usage.repo
    kind = "" if repo.kind is Kind.MODEL else f" --repo-type {repo.kind.value}"
    argument = "" if repo.kind is Kind.MODEL else f',\n    repo_type="{repo.kind.value}"'
    export = f"export HF_ENDPOINT={usage.public_url}"
    address = f"{usage.public_url}/{repo.repo_id.web_path}"
    return [
        Snippet(
            "hf",
            "Command line",
            "bash",
            f"{export}\nhf auth login\nhf upload {repo.full_name} .{kind}",
        ),
        Snippet(
            "python",
            "Python",
            "python",
            "from huggingface_hub import HfApi\n\n"
            f'HfApi(endpoint="{usage.public_url}").upload_folder(\n'
            f'    folder_path=".",\n    repo_id="{repo.full_name}"{argument},\n)',
        ),
        Snippet(
            "git",
            "git",
            "bash",
            f"git lfs install\ngit clone {address}\ncd {repo.name}\n"
            'git add .\ngit commit -m "First files"\ngit push',
        ),
    ]
