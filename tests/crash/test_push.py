"""A push whose client or server is killed: all of its refs are updated, or none."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.crash.test_crash import ASKED, SEED, Shape, company, files
from tests.support.hub import ForkedHub

KILLS = int(ASKED or 12)
RESULTS = Path(__file__).with_name("pushes.md")
REPO = "admin/pushed"


@pytest.mark.long
@pytest.mark.timeout(7200 if ASKED else 180)
@pytest.mark.parametrize("shape", [files, company])
def test_a_killed_push_updates_all_refs_or_none_and_a_reported_one_all(
    shape: Callable[[], contextlib.AbstractContextManager[Shape]], tmp_path: Path
) -> None:
    with shape() as config:
        trial = Trial(config, tmp_path, random.Random(f"{SEED} push {config.name}"))
        trial.begin()
        for _ in range(-(-KILLS // 2)):
            trial.round()
        trial.end()
    assert trial.outcomes["moved"] + trial.outcomes["as before"] == trial.rounds
    if ASKED:
        with RESULTS.open("a") as file:
            if file.tell() == 0:
                file.write(_HEAD)
            file.write(trial.summary())


@dataclass
class Trial:
    """Rounds that push a branch and a tag together and kill one side."""

    shape: Shape
    folder: Path
    random: random.Random
    rounds: int = 0
    longest_s: float = 0.5
    outcomes: Counter[str] = field(default_factory=Counter)
    leftovers: set[Path] = field(default_factory=set)  # in staging, by servers that were killed

    def __post_init__(self) -> None:
        env = {"HUBSTEAD_MIN_FREE_BYTES": "0", "HUBSTEAD_LOG_LEVEL": "warning", **self.shape.env}
        self.node = ForkedHub(self.folder / "hub", env)
        self.work = self.folder / "work"

    def git(self, *arguments: str) -> str:
        result = subprocess.run(
            ["git", *arguments],
            cwd=self.work,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return result.stdout.strip()

    def environment(self) -> dict[str, str]:
        author = {"NAME": "Anna", "EMAIL": "anna@example.org"}
        names = {
            f"GIT_{role}_{k}": v for role in ("AUTHOR", "COMMITTER") for k, v in author.items()
        }
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            **names,
        }

    @property
    def url(self) -> str:
        return f"http://u:{self.node.token}@127.0.0.1:{self.node.port}/{REPO}"

    def begin(self) -> None:
        self.node.start()
        response = self.node.call("POST", "/api/repos/create", {"name": REPO.partition("/")[2]})
        assert response.status == 200, response.body
        self.work.mkdir()
        self.git("init", "-q", "-b", "main")
        self.tip = self._commit()
        self.git("push", "-q", "--force", self.url, "main")
        started = time.monotonic()
        self.tip = self._commit()
        self.git("push", "-q", self.url, "main")
        self.longest_s = 1.2 * (time.monotonic() - started)

    def _commit(self) -> str:
        for n in range(40):
            path = self.work / f"d{self.random.randrange(5)}" / f"f{n}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(self.random.randbytes(self.random.randrange(20_000)))
        self.git("add", ".")
        self.git("commit", "-qm", f"round {self.rounds}")
        return self.git("rev-parse", "HEAD")

    def round(self) -> None:
        """Push, kill one side, restart it if needed, check."""
        self.rounds += 1
        before, new, tag = self.tip, self._commit(), f"t{self.rounds}"
        push = subprocess.Popen(
            ["git", "push", "-q", "--atomic", self.url, "main", f"main:refs/tags/{tag}"],
            cwd=self.work,
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(self.random.uniform(0, self.longest_s))
        if server := self.random.random() < 0.5:
            self.node.kill()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(push.pid, signal.SIGKILL)
        reported = push.wait(60) == 0
        if not server:  # a killed client's request may be in progress; it is done before the end
            self.node.stop()
        self._restart()
        self.outcomes["server killed" if server else "client killed"] += 1
        self.tip = self._check(before, new, tag, reported)
        if self.tip != new:
            self.git("reset", "-q", "--hard", self.tip)
        if self.rounds % 10 == 0:
            self._healthy()

    def _restart(self) -> None:
        self.leftovers = self._staged()
        self.node.start()

    def _staged(self) -> set[Path]:
        return set(self.node.data.glob("git/*/*.git/staging/tmp_*"))

    def _check(self, before: str, new: str, tag: str, reported: bool) -> str:
        """Return the branch's commit, once no process works on the push."""
        refs = self._refs()
        moved = refs["refs/heads/main"] == new
        assert (refs.get(f"refs/tags/{tag}") == new) is moved, "a push was done in part"
        assert (refs.get(f"refs/tags/{tag}") == new) is moved, "half of a push was done"
        assert moved or not reported, "a push was reported, and lost"
        self.outcomes["moved" if moved else "as before"] += 1
        self.outcomes["reported"] += reported
        return refs["refs/heads/main"]

    def _refs(self) -> dict[str, str]:
        refs = self.node.call("GET", f"/api/models/{REPO}/refs").json
        rows = [*refs["branches"], *refs["tags"]]
        return {row["ref"]: row["targetCommit"] for row in rows}

    def _healthy(self) -> None:
        result = self.node.run("doctor", "--deep", "--json", check=False)
        assert "healthy" in result.stdout, result.stdout + result.stderr

    def end(self) -> None:
        """Everything that was accepted can be cloned and is sound."""
        self._healthy()
        back = self.folder / "back"
        self.git("clone", "-q", self.url, str(back))
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=back, capture_output=True, text=True, check=True
        )
        assert head.stdout.strip() == self.tip
        self.git("-C", str(back), "fsck", "--full", "--strict")
        assert self.node.stop() == 0
        assert self._staged() == self.leftovers
        self.outcomes["left in staging by kills of the server"] = len(self.leftovers)

    def summary(self) -> str:
        facts = ", ".join(f"{count} × {name}" for name, count in self.outcomes.items())
        day = time.strftime("%Y-%m-%d", time.gmtime())
        return f"- {day}, {self.shape.name}: {self.rounds} pushes killed: {facts}; 0 half done\n"


_HEAD = """# Results of the killed pushes

`make crash` kills the client or the server at a random moment of a push of a branch and a tag
(`--atomic`), and checks both refs: both were updated or neither, and both for certain
if git reported so. `hubstead doctor --deep` and `git fsck --full --strict` of a clone end it.

"""
