"""Tokenizers and configurations of transformers: push and load them, without torch.

The release of 2021 reaches the hub by the public Hub's name and pushes by git; the later ones
follow HF_ENDPOINT and commit over HTTP.
"""

import inspect
import os
import sys
from pathlib import Path
from typing import Any

import steps
import transformers
from steps import ANNA_TOKEN, BO_TOKEN, RUN, NotInThisRelease, step
from transformers import AutoConfig, BertConfig, BertTokenizer

HOME = Path(os.environ["HOME"])
NAME, HIDDEN = f"{RUN}pushed", f"{RUN}hidden"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hub", "##stead", "stores", "models"]
BERT = BertConfig(vocab_size=len(WORDS), hidden_size=12, num_hidden_layers=2)
IDS = [2, 5, 6, 7, 8, 3]
#: This release's parameter for the token, and whether it pushes by git from the current folder.
RELEASE = tuple(int(part) for part in transformers.__version__.split("."))
TOKEN = "token" if RELEASE >= (4, 32) else "use_auth_token"
if RELEASE >= (4, 13):
    from transformers import AutoTokenizer
else:
    AutoTokenizer = BertTokenizer  # AutoTokenizer cannot be imported without the package tokenizers
BY_GIT = "repo_path_or_name" in inspect.signature(BertConfig.push_to_hub).parameters


def tokenizer() -> Any:
    """Return a tokenizer of nine words."""
    path = steps.file_of("\n".join(WORDS).encode(), "vocab.txt")
    return BertTokenizer(path)


def push(thing: Any, name: str, **more: Any) -> None:
    """Push in this release's way."""
    if BY_GIT:
        thing.push_to_hub(name, **more)
    else:
        thing.push_to_hub(f"anna/{name}", **more)


def sign_in() -> None:
    """Store the token where old and new releases look for it, and configure git's author."""
    for path in (HOME / ".huggingface" / "token", Path(os.environ["HF_HOME"]) / "token"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(ANNA_TOKEN)
    os.chdir(HOME)


@step
def push_config() -> None:
    """Push a configuration and load it"""
    push(BERT, NAME)
    loaded = AutoConfig.from_pretrained(f"anna/{NAME}")
    assert (loaded.model_type, loaded.hidden_size) == ("bert", 12)


@step
def push_tokenizer() -> None:
    """Push a tokenizer into the same repository and load it"""
    push(tokenizer(), NAME)
    loaded = AutoTokenizer.from_pretrained(f"anna/{NAME}")
    assert loaded("hubstead stores models")["input_ids"] == IDS
    assert AutoConfig.from_pretrained(f"anna/{NAME}").hidden_size == 12


@step
def push_changed() -> None:
    """Push a change, and load the state before it by its commit"""
    from huggingface_hub import HfApi

    before = HfApi().model_info(f"anna/{NAME}").sha
    push(BertConfig(hidden_size=24), NAME)
    assert HfApi().model_info(f"anna/{NAME}").sha != before
    assert AutoConfig.from_pretrained(f"anna/{NAME}").hidden_size == 24
    assert AutoConfig.from_pretrained(f"anna/{NAME}", revision=before).hidden_size == 12


@step
def save_and_push() -> None:
    """save_pretrained with push_to_hub"""
    BERT.save_pretrained(f"{NAME}-saved", push_to_hub=True)
    assert AutoConfig.from_pretrained(f"anna/{NAME}-saved").hidden_size == 12


@step
def private() -> None:
    """Only the owner loads a private one"""
    push(BERT, HIDDEN, private=True)
    # The stranger goes first: the owner's load fills the cache, from which 5.x serves everyone.
    error = steps.fails(
        Exception, AutoConfig.from_pretrained, f"anna/{HIDDEN}", **{TOKEN: BO_TOKEN}
    )
    assert not isinstance(error, TypeError), error
    loaded = AutoConfig.from_pretrained(f"anna/{HIDDEN}", **{TOKEN: ANNA_TOKEN})
    assert loaded.hidden_size == 12


@step
def missing() -> None:
    """A missing file is reported as missing"""
    error = steps.fails(OSError, AutoTokenizer.from_pretrained, "anna/no-such-model")
    assert "no-such-model" in str(error), error


@step
def organization() -> None:
    """Push into an organization"""
    if BY_GIT:
        BERT.push_to_hub(f"{NAME}-org", organization="acme")
    elif "organization" in inspect.signature(BERT.push_to_hub).parameters:
        raise NotInThisRelease("push_to_hub(organization=…)")
    else:
        BERT.push_to_hub(f"acme/{NAME}-org")
    assert AutoConfig.from_pretrained(f"acme/{NAME}-org").hidden_size == 12


assert transformers.__version__ == os.environ["RELEASE"], transformers.__version__
assert "torch" not in sys.modules
sign_in()
steps.run_all()
