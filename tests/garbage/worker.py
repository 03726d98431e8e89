"""A client that writes, deletes and restores large files, as a program.

    python worker.py REPO SEED SET

It works until its standard input ends. Then it prints its acknowledged files: for each revision
that must still be readable, the sha256 of each file. It retries what a hub refuses, as a user
would. Its content comes from SET: workers of one set share content, those of two sets share
none.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import threading
import time
from collections.abc import Callable

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError

TRIES = 30
#: The minimum of operations, even if the input ends before the program has started.
LEAST_ACTS = 12
KB = 1024


class Worker:
    def __init__(self, repo: str, seed: int, content_set: str) -> None:
        self.api = HfApi()
        self.repo = repo
        self.content_set = content_set
        self.seed = seed
        self.chance = random.Random(seed)
        self.files: dict[str, bytes] = {}
        self.acknowledged: dict[str, dict[str, str]] = {}
        self.refused = 0
        self.tags = 0
        self.last = ""

    def insist(self, act: Callable[[], object]) -> None:
        for attempt in range(TRIES):
            try:
                act()
            except (HfHubHTTPError, RuntimeError) as error:  # the latter is hf_xet's
                if attempt == TRIES - 1:
                    raise
                self.refused += 1
                self.last = str(error)
                time.sleep(0.05)
            else:
                return

    def content(self) -> bytes:
        """Return one of few contents, so that files return that were just deleted.

        Some belong to this client only, some to the others as well.
        """
        number = self.chance.choice([0, 1, 100 + self.seed, 200 + self.seed, 300 + self.seed])
        common = random.Random(self.content_set).randbytes(300 * KB)
        return common + random.Random(f"{self.content_set} {number}").randbytes(200 * KB)

    def add(self) -> None:
        path, content = f"f{self.chance.randrange(4)}.bin", self.content()
        if self.files.get(path) == content:
            return
        self.insist(
            lambda: self.api.create_commit(
                self.repo, [CommitOperationAdd(path, content)], commit_message="add"
            )
        )
        self.files[path] = content

    def remove(self) -> None:
        if self.files:
            path = self.chance.choice(sorted(self.files))
            self.insist(
                lambda: self.api.create_commit(
                    self.repo, [CommitOperationDelete(path)], commit_message="remove"
                )
            )
            del self.files[path]

    def squash(self) -> None:
        self.insist(lambda: self.api.super_squash_history(self.repo))

    def tag(self) -> None:
        name = f"v{self.tags}"
        self.tags += 1
        self.insist(lambda: self.api.create_tag(self.repo, tag=name))
        self.acknowledged[name] = self.digests()
        if self.tags > 3 and self.chance.random() < 0.7:
            dropped = self.chance.choice(sorted(self.acknowledged))
            self.insist(lambda: self.api.delete_tag(self.repo, tag=dropped))
            del self.acknowledged[dropped]

    def branch(self) -> None:
        name = f"b{self.tags}-{time.monotonic_ns()}"
        self.insist(lambda: self.api.create_branch(self.repo, branch=name))
        content = self.content()
        self.insist(
            lambda: self.api.create_commit(
                self.repo,
                [CommitOperationAdd("on-branch.bin", content)],
                commit_message="on a branch",
                revision=name,
            )
        )
        self.insist(lambda: self.api.delete_branch(self.repo, branch=name))

    def digests(self) -> dict[str, str]:
        return {path: hashlib.sha256(data).hexdigest() for path, data in self.files.items()}

    def work(self, enough: threading.Event) -> None:
        acts = [self.add] * 5 + [self.remove] * 2 + [self.squash] * 2 + [self.tag, self.branch]
        count = 0
        while count < LEAST_ACTS or not enough.is_set():
            self.chance.choice(acts)()
            count += 1
        self.acknowledged["main"] = self.digests()


def end_of_input() -> threading.Event:
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    return ended


def main() -> None:
    repo, seed, content_set = sys.argv[1:]
    worker = Worker(repo, int(seed), content_set)
    worker.work(end_of_input())
    result = {"acknowledged": worker.acknowledged, "refused": worker.refused, "last": worker.last}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
