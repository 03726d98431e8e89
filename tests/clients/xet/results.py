"""``docs/compatibility-xet.md``: the outcome of each Xet client in the last run."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.clients.environments import ROOT
from tests.clients.runner import Outcome
from tests.clients.xet.clients import CLIENTS, XetClient

_HEAD = """\
# Xet clients that were run against the hub

Written by `make compat`. Each pair of releases runs as it was published, in an environment of its
own, with Xet switched on, the default, against a hub in a process of its own; every byte
that is downloaded is compared. With PostgreSQL and S3, clients fetch bytes from S3 themselves
(`s3_direct_downloads`). Last run: {day}, commit `{commit}`; {passed} of {runs} runs did everything
they can. `make test-rest` runs {everyday} each time.

"Steps" are the lines of the lists below; what a release has no method for is not counted.

| Client | Hub | Steps that worked | Failed | Not in this release |
| --- | --- | --- | --- | --- |
"""

_BESIDE = """\
## Several clients and one hub

`test_meetings.py` tries these beside the table, in the same `make compat`; they are not counted
above, and this list does not say whether they passed.

- Every client reads the uploads of every other, although hf_xet up to 1.1.9 and the JavaScript
  client chunk by an older rule.
- The same content in both chunkings, in one repository: clients of both rules download both files.
- A client works with a hub that was emptied and created again at the same address, while its own
  cache says for weeks that everything is stored; and after `hubstead gc --new-epoch`.
- Tokens that expire during a transfer are renewed, and the transfer continues.
- Uploads during crashes of the server are in tests/crash/results.md.
"""


@dataclass
class XetResults:
    """The outcomes of all clients that were run, per shape of the hub."""

    outcomes: dict[tuple[XetClient, str], Outcome] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every client was run on both shapes, so that the page covers them all."""
        return len(self.outcomes) == 2 * len(CLIENTS)

    def page(self) -> str:
        """Return ``docs/compatibility-xet.md``."""
        head = _HEAD.format(
            day=datetime.now(UTC).date(),
            commit=_commit(),
            passed=sum(not outcome.failed for outcome in self.outcomes.values()),
            runs=len(self.outcomes),
            everyday=" and ".join(str(client) for client in CLIENTS if client.everyday),
        )
        rows = [_row(*key, outcome) for key, outcome in self.outcomes.items()]
        return head + "\n".join([*rows, "", *self._steps(), _BESIDE])

    def _steps(self) -> Iterator[str]:
        for title, python in (("huggingface_hub and hf_xet", True), ("@huggingface/hub", False)):
            ran = [out for (client, _), out in self.outcomes.items() if bool(client.xet) is python]
            names = dict.fromkeys(name for outcome in ran for name in outcome.names)
            yield f"## {title}\n"
            yield "\n".join(f"- {name}" for name in names)
            yield ""


def _row(client: XetClient, shape: str, outcome: Outcome) -> str:
    absent = ", ".join(f"`{name}`" for name in outcome.absent.values())
    failed = "; ".join(outcome.failed) or "none"
    tried = len(outcome.passed) + len(outcome.failed)
    return f"| {client} | {shape} | {len(outcome.passed)} of {tried} | {failed} | {absent} |"


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout.strip()
