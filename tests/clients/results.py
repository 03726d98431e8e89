"""``docs/compatibility.md``: what came of each release, as the run saw it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.clients.environments import ROOT
from tests.clients.releases import ENDPOINT, JAVASCRIPT, PASSWORD, RELEASES, Release
from tests.clients.running import Outcome

_HEAD = """\
# Clients that were run against the hub

Written by `make compat`, which runs each release as it was published, in an environment of its
own, against a hub in a process of its own (SQLite, files), and compares every byte that comes
down. Last run: {day}, commit `{commit}`; {passed} of {releases} releases did everything they can.
`make test` runs {everyday}, whenever it runs.

"Steps" are the lines of the lists below; what a release has no method for is not counted.

| Client | Steps that worked | Failed | Not in this release |
| --- | --- | --- | --- |
"""

_SCENARIOS = {
    PASSWORD: (
        "huggingface_hub up to 0.2.1: the table of 2021",
        "Sign-in by password. The host of these releases is built in: `HfApi(endpoint=…)` points\n"
        "the calls of the API to the hub, unmodified. Downloads go to the address that\n"
        "`hf_hub_url` returns, with its host's name replaced. For `snapshot_download` alone a\n"
        "constant inside the release is replaced.",
    ),
    ENDPOINT: (
        "huggingface_hub from 0.5.1 on",
        "Pointed to the hub by `HF_ENDPOINT`, otherwise unmodified; `HF_HUB_DISABLE_XET=1`.",
    ),
    JAVASCRIPT: (
        "@huggingface/hub (JavaScript)",
        "In Node, with `hubUrl`, `useXet: false` for uploads and `xet: false` for downloads.",
    ),
}

_GAPS = """\
## Known gaps, and why

- **git.** The class `Repository` and the commands that need `git clone` and `git push` are not run:
  the hub does not speak git's smart HTTP yet.
- **Xet.** All runs switch Xet off. From huggingface_hub 1.20 on, an upload of a large file without
  `HF_HUB_DISABLE_XET=1` fails, because the client does not fall back to LFS by itself.
- **Pull requests.** `create_pr=True` is answered with 501 and a clear message.
- **The command line before 0.5.0**, `Repository` and the mixins follow the built-in host only; they
  need the public Hub's name itself to lead to the hub (one's own DNS and certificate).
- **Private models without a token, up to 0.7.0**: their own test suites expected 404. Every later
  release expects 401, and no server can answer both.
- **Lists sorted without `direction`** are descending, as huggingface_hub 1.x expects; the
  documentation of 2021 called that ascending.
- **Renamed repositories up to 0.8.1** cannot be downloaded by their old names: these releases do
  not follow a relative redirect. Private renamed ones cannot be with 0.12.0 to 0.20.3, which drop
  the token when redirected. Calls of the API do follow. (Read in their sources, not run.)
- **`RepoCard.validate` and `push_to_hub` of cards, 0.10.0 to 0.36.2,** ask the public Hub, whatever
  `HF_ENDPOINT` says, and fail where it cannot be reached. (Read in their sources, not run.)
"""


@dataclass
class Results:
    """What came of the releases that were run."""

    outcomes: dict[Release, Outcome] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every release was run, so that the page tells of them all."""
        return set(self.outcomes) == set(RELEASES)

    def page(self) -> str:
        """Return ``docs/compatibility.md``."""
        head = _HEAD.format(
            day=datetime.now(UTC).date(),
            commit=_commit(),
            passed=sum(not outcome.failed for outcome in self.outcomes.values()),
            releases=len(self.outcomes),
            everyday=", ".join(release.version for release in RELEASES if release.everyday),
        )
        rows = [_row(release, self.outcomes[release]) for release in RELEASES]
        return head + "\n".join([*rows, "", *self._steps(), _GAPS])

    def _steps(self) -> Iterator[str]:
        for scenario, (title, how) in _SCENARIOS.items():
            ran = [each for each in self.outcomes if each.scenario == scenario]
            names = dict.fromkeys(name for each in ran for name in self.outcomes[each].names)
            yield f"## {title}\n\n{how}\n"
            yield "\n".join(f"- {name}" for name in names)
            yield ""


def _row(release: Release, outcome: Outcome) -> str:
    absent = ", ".join(f"`{name}`" for name in outcome.absent.values())
    failed = "; ".join(outcome.failed) or "none"
    tried = len(outcome.passed) + len(outcome.failed)
    return f"| {release} | {len(outcome.passed)} of {tried} | {failed} | {absent} |"


def _commit() -> str:
    asked = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(
        asked, check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout.strip()
