"""``docs/compatibility.md``: the outcome of each release in the last run."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.clients.environments import ROOT
from tests.clients.releases import (
    ENDPOINT,
    JAVASCRIPT,
    PASSWORD,
    PRETRAINED,
    RELEASES,
    REPOSITORY,
    Release,
)
from tests.clients.runner import Outcome

_HEAD = """\
# Clients that were run against the hub

Written by `make compat`, which runs each release as it was published, in an environment of its
own, against a hub in a process of its own (SQLite, files), and compares every byte that comes
down. Last run: {day}, commit `{commit}`; {passed} of {releases} runs did everything they can.
`make test-rest` runs these each time: {everyday}.

Every table counts the steps of the list below it; what a release has no method for is not counted.
"""

_COLUMNS = """\
| Client | Steps that worked | Failed | Not in this release |
| --- | --- | --- | --- |
"""

_SCENARIOS = {
    PASSWORD: (
        "huggingface_hub up to 0.2.1: the table of 2021",
        "Sign-in by password. The host of these releases is built in: `HfApi(endpoint=…)` points\n"
        "the calls of the API to the hub, unmodified. Downloads go to the address that\n"
        "`hf_hub_url` returns, with its host's name replaced. For `snapshot_download` alone a\n"
        "constant inside the release is replaced (the runs through git below replace nothing).",
    ),
    ENDPOINT: (
        "huggingface_hub from 0.5.1 on: the API",
        "Pointed to the hub by `HF_ENDPOINT`, otherwise unmodified; `HF_HUB_DISABLE_XET=1`.\n"
        "0.5.1 uploads by one POST, 0.8.1 and 0.10.1 commit one JSON document, the others NDJSON.",
    ),
    REPOSITORY: (
        "huggingface_hub through git, its command line and its mixins",
        "Unmodified. 0.0.1 to 0.4.0 reach the hub by the name `huggingface.co`, through a\n"
        "front with a private authority (see [old-clients.md](old-clients.md)); the others by\n"
        "`HF_ENDPOINT`. With the git and git-lfs of the machine ({git}, {lfs}).",
    ),
    PRETRAINED: (
        "transformers, without torch",
        "4.12.5 (2021) with huggingface_hub 0.2.1, by that name, pushing by git; 4.30.2 (2023)\n"
        "with 0.15.1 and 5.23.0 with 2.4.0 by `HF_ENDPOINT`. The tokenizers that 4.12.5 requires\n"
        "(below 0.11) have no wheel for Python 3.11 and need a Rust compiler: it runs without\n"
        "them, with its tokenizers in plain Python.",
    ),
    JAVASCRIPT: (
        "@huggingface/hub (JavaScript)",
        "In Node, with `hubUrl`, `useXet: false` for uploads and `xet: false` for downloads.",
    ),
}

_GAPS = """\
## Known gaps, and why

- **Xet** is switched off in these runs, which test LFS. How clients work with Xet, their
  default, is in [compatibility-xet.md](compatibility-xet.md).
- **Pull requests.** `create_pr=True` gets 501 and a clear message; so is a push to
  `refs/pr/…`.
- **0.0.1 to 0.4.0 have the host built in.** The public Hub's name itself has to resolve to the
  hub (one's own DNS or proxy, and certificate): [old-clients.md](old-clients.md).
- **Mixins for Keras, torch and fastai** need those packages and were not run. They add files to
  the work of `ModelHubMixin`, which was run with a model of bytes.
- **`Repository` in a folder with files** is refused by the releases themselves from 0.0.11 on.
- **`Repository` over plain http, from 0.5.0.** The code that reads and compares remotes strips
  credentials from `https://` alone: `git_push` returns an address with the token in it, and a clone
  is not recognised when another token opens it. With the hub behind https both work.
- **Their own test suites** are in the source archives of 0.36.2, 1.10.2, 1.20.1, 1.33.0, 2.0.0 and
  2.4.0, without `conftest.py` and the cards in `tests/fixtures`; those of 0.8.1 to 0.30.2 and of
  1.0.1 have none. Run by hand on 2026-11-29 against a hub, without the tests of what it has not
  built then (discussions, spaces, collections, webhooks …) and of the public Hub's own files:
  0.36.2 gave 257 passed, 1.10.2 335 passed, 1.33.0 173 passed (fewer files), 2.4.0 306 passed. Of
  those that failed, this hub cannot meet:
  - tests of pull requests (`*_pr`, `*_with_revision` of the file system: they read `refs/pr/1`),
  - `test_expand_dataset_property_type_is_up_to_date` of 0.36.2 and 1.10.2 and
    `test_expand_model_property_type_is_up_to_date` of 0.36.2: the Hub has more names since,
  - `test_create_repo_private_by_default`: it wants an enterprise organization,
  - `RepoUrlTest`, `ParseHFUrlTest`, `ListGitRefsTest`, and cards up to 2.0.0 (see below): they want
    the public Hub's name or its repositories,
  - the pushes of `HfLargefilesTest`, which download their files from the public network first.

  `TestCollectionAPI`, `TestActivityApi` and `TestUserApi` of 2.4.0 were run on the same day against
  a hub with the accounts that they name, their followers and likes: 15 passed. The 4 others want
  the public Hub's own likers, collections and https. `hf collections` and its eight commands worked
  by hand; so did likes, collections, overviews and followers by 0.20.3, 0.23.5, 0.26.5, 0.36.2 and
  1.33.0.

  The other failures are of the run: cards that the archives lack, the name of an organization, and
  two time limits on a busy machine.
- **Private models without a token, up to 0.7.0**: their own test suites expected 404. Every later
  release expects 401, and no server can answer both.
- **Lists sorted without `direction`** are descending, as huggingface_hub 1.x expects; the
  documentation of 2021 called that ascending.
- **Renamed repositories up to 0.8.1** cannot be downloaded by their old names: these releases do
  not follow a relative redirect. Private renamed ones cannot be with 0.12.0 to 0.20.3, which drop
  the token when redirected. Calls of the API do follow. (Read in their sources, not run.)
- **`RepoCard.validate` and `push_to_hub` of cards, 0.10.0 to 2.0.0,** call the public Hub's name,
  whatever `HF_ENDPOINT` says. Through a front with that name ([old-clients.md](old-clients.md))
  0.10.1, 0.17.3 and 0.36.2 validated and pushed cards, by hand; without one they fail where the
  public Hub cannot be reached.
"""


@dataclass
class Results:
    """The outcomes of all releases that were run."""

    outcomes: dict[Release, Outcome] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every release was run, so that the page covers them all."""
        return set(self.outcomes) == set(RELEASES)

    def page(self) -> str:
        """Return ``docs/compatibility.md``."""
        head = _HEAD.format(
            day=datetime.now(UTC).date(),
            commit=_commit(),
            passed=sum(not outcome.failed for outcome in self.outcomes.values()),
            releases=len(self.outcomes),
            everyday=", ".join(dict.fromkeys(str(entry) for entry in RELEASES if entry.everyday)),
        )
        return "\n".join([head, *self._scenarios(), _GAPS])

    def _scenarios(self) -> Iterator[str]:
        """Yield each scenario: how it was run, the outcome of each release, and its steps."""
        programs = {"git": _version("git", "--version"), "lfs": _version("git-lfs", "--version")}
        for scenario, (title, how) in _SCENARIOS.items():
            ran = [release for release in RELEASES if release.scenario == scenario]
            names = dict.fromkeys(name for release in ran for name in self.outcomes[release].names)
            yield f"## {title}\n\n{how.format(**programs)}\n"
            rows = (_row(release, self.outcomes[release]) for release in ran)
            yield _COLUMNS + "\n".join(rows) + "\n"
            yield "\n".join(f"- {name}" for name in names) + "\n"


def _row(release: Release, outcome: Outcome) -> str:
    absent = ", ".join(f"`{name}`" for name in dict.fromkeys(outcome.absent.values()))
    failed = "; ".join(outcome.failed) or "none"
    tried = len(outcome.passed) + len(outcome.failed)
    return f"| {release} | {len(outcome.passed)} of {tried} | {failed} | {absent} |"


def _commit() -> str:
    return _output_of("git", "rev-parse", "--short", "HEAD")


def _version(*command: str) -> str:
    """Return a program's name and version: ``git 2.39.5``."""
    return _output_of(*command).split(" (")[0].replace(" version", "").replace("/", " ")


def _output_of(*command: str) -> str:
    result = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return result.stdout.strip()
