"""A hub with a million repositories: generated once, cached in ``.cache/``.

The repositories are rows written directly into SQLite, with the columns that commits would
have derived. About every thousandth has its git folder, a hard-linked copy of one that was
committed over the API, so that its files can be requested. Its properties:

- 70 % models, 20 % datasets, 10 % spaces; owners among 20,000 accounts; 5 % private;
- 50,000 tags, the n-th with a frequency of 1/n (Zipf), some nine to a repository;
- downloads and likes with a long tail, dates over five years, names of three words.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import hub
from benchmarks.raw_client import api

GENERATION = 1  # increased when the generated content changes
ACCOUNTS = 20_000
TAGS = 50_000
WITH_FILES = 2_000
TEMPLATE = "admin/template"
WEIGHTS = bytes(range(256)) * 1024
_YEAR_MS = 365 * 86_400_000
_KINDS = ("model",) * 7 + ("dataset",) * 2 + ("space",)


@dataclass(frozen=True)
class World:
    """A data folder, and the facts about it."""

    data: Path
    repositories: int
    token: str
    hot: list[str]  # owner/name of models that have files


def make_world(cache: Path, repositories: int) -> World:
    """Return the world of this size, generated unless it is cached."""
    folder = cache / f"world-{repositories}-{GENERATION}"
    facts = folder / "facts.json"
    if not facts.exists():
        shutil.rmtree(folder, ignore_errors=True)
        print(f"  making a hub with {repositories:,} repositories (once) …", flush=True)
        started = time.perf_counter()
        token = _make_template(folder / "data")
        hot = _fill(folder / "data", repositories)
        facts.write_text(json.dumps({"token": token, "hot": hot}))
        print(f"  generated in {time.perf_counter() - started:.0f} s", flush=True)
    known = json.loads(facts.read_text())
    return World(folder / "data", repositories, known["token"], known["hot"])


def _make_template(data: Path) -> str:
    """Create a model over the API; return the token of a reader."""
    server = hub.start_hub(data)
    try:
        call = api(server.port, hub.admin_token(data))
        hub.make_repo(call, "template")
        hub.upload_small(call, server.port, TEMPLATE, WEIGHTS)
        body = hub.commit_body(hub.model_files(), {"model.safetensors": WEIGHTS})
        hub.commit(call, TEMPLATE, body)
        hub.command(data, "user", "create", "reader", "--email", "reader@example.com")
        created = hub.command(data, "token", "create", "reader", "--role", "read")
        return str(created["token"])
    finally:
        server.stop()


def _fill(data: Path, repositories: int) -> list[str]:
    connection = sqlite3.connect(data / "hubstead.db", isolation_level=None)
    for pragma in ("synchronous=OFF", "cache_size=-1500000", "foreign_keys=OFF"):
        connection.execute(f"PRAGMA {pragma}")
    connection.row_factory = sqlite3.Row
    connection.execute("BEGIN")
    maker = _Maker(connection, data, repositories)
    maker.accounts()
    maker.repositories()
    maker.tags()
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return maker.hot


class _Maker:
    """Writes the rows, the same in every run."""

    def __init__(self, connection: sqlite3.Connection, data: Path, repositories: int) -> None:
        self.db = connection
        self.data = data
        self.count = repositories
        self.random = random.Random(repositories)
        self.every = max(1, repositories // WITH_FILES)
        self.hot: list[str] = []
        self.tagged: dict[tuple[str, int], array[int]] = {}
        row = self.db.execute("SELECT * FROM repo WHERE name = 'template'").fetchone()
        self.template = dict(row)
        self.first_pk = row["pk"] + 1
        self.refs = self._of_template("ref")
        self.blobs = self._of_template("repo_blob")
        self.packs = self._of_template("pack")
        self.words = [
            "".join(self.random.choices("abcdefghijklmnoprstuvwz", k=self.random.randint(4, 8)))
            for _ in range(5_000)
        ]

    def _of_template(self, table: str) -> list[dict[str, Any]]:
        pk = self.template["pk"]
        rows = self.db.execute(f"SELECT * FROM {table} WHERE repo_pk = ?", (pk,)).fetchall()
        return [dict(row) for row in rows]

    def _insert(self, table: str, rows: Iterator[dict[str, Any]]) -> None:
        first = next(rows, None)
        if first is None:
            return
        names, marks = ", ".join(first), ", ".join("?" * len(first))
        sql = f"INSERT INTO {table} ({names}) VALUES ({marks})"
        self.db.execute(sql, tuple(first.values()))
        self.db.executemany(sql, (tuple(row.values()) for row in rows))

    def accounts(self) -> None:
        now = int(time.time() * 1000)
        reader = self.db.execute("SELECT pk FROM account WHERE name = 'reader'").fetchone()["pk"]
        first = 1 + self.db.execute("SELECT max(pk) AS m FROM account").fetchone()["m"]
        self.owners = [(first + n, f"{self.words[n % 5000]}-{n}") for n in range(ACCOUNTS)]
        self._insert(
            "account",
            (
                {
                    "pk": pk,
                    "id": f"{pk:024x}",
                    "kind": "org" if pk % 10 == 0 else "user",
                    "name": name,
                    "name_key": name,
                    "fullname": name,
                    "is_admin": 0,
                    "disabled": 0,
                    "created_ms": now,
                }
                for pk, name in self.owners
            ),
        )
        orgs = [pk for pk, _ in self.owners if pk % 10 == 0]
        self._insert(
            "member",
            (
                {"org_pk": pk, "user_pk": reader, "role": "write", "created_ms": now}
                for pk in orgs[:20]
            ),
        )

    def repositories(self) -> None:
        names: list[tuple[str, str, int]] = []
        hot: list[tuple[int, str]] = []
        self._insert("repo", self._rows(names, hot))
        named = ("kind", "name_key", "repo_pk")
        self._insert("repo_name", (dict(zip(named, row, strict=True)) for row in sorted(names)))
        for _, repo_id in hot:
            self._give_files(repo_id)
        for table, copies in (("ref", self.refs), ("repo_blob", self.blobs), ("pack", self.packs)):
            self._insert(table, (row | {"repo_pk": pk} for pk, _ in hot for row in copies))

    def _rows(
        self, names: list[tuple[str, str, int]], hot: list[tuple[int, str]]
    ) -> Iterator[dict[str, Any]]:
        for n in range(self.count):
            row, full_name = self._one(n)
            names.append((row["kind"], full_name, row["pk"]))
            if row["head"] is not None:
                hot.append((row["pk"], row["id"]))
                self.hot.append(full_name)
            yield row

    def _one(self, n: int) -> tuple[dict[str, Any], str]:
        pick = self.random
        has_files = n % self.every == 0
        owner_pk, owner = self.owners[int(ACCOUNTS * pick.random() ** 2)]
        a, b = pick.choice(self.words), pick.choice(self.words)
        name = f"{a}-{b}-{n}"
        kind = "model" if has_files else _KINDS[n % 10]
        pk = self.first_pk + n
        created = self.template["created_ms"] - int(5 * _YEAR_MS * pick.random())
        row = self.template | {
            "pk": pk,
            "id": f"{pick.getrandbits(96):024x}",
            "kind": kind,
            "owner_pk": owner_pk,
            "creator_pk": owner_pk,
            "name": name,
            "private": int(not has_files and n % 20 == 1),
            "created_ms": created,
            "modified_ms": created + int((self.template["created_ms"] - created) * pick.random()),
            "downloads": int(pick.paretovariate(0.6)) % 10_000_000,
            "likes": int(pick.paretovariate(0.9)) % 100_000,
            "trending": round(pick.random() ** 8 * 100, 3),
        }
        tags = {int(TAGS ** pick.random()) - 1 for _ in range(11)}
        for tag in tags:
            self.tagged.setdefault((kind, tag), array("q")).append(pk)
        if not has_files:
            row |= {"head": None, "card": '{"license":"mit","language":["en"]}', "config": None}
            row |= {"tags": json.dumps([f"tag-{tag}" for tag in tags])}
        return row, f"{owner}/{name}"

    def _give_files(self, repo_id: str) -> None:
        source = self._folder(self.template["id"])
        target = self._folder(repo_id)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target, copy_function=os.link, dirs_exist_ok=True)

    def _folder(self, repo_id: str) -> Path:
        return self.data / "git" / repo_id[:2] / f"{repo_id}.git"

    def tags(self) -> None:
        self._insert(
            "repo_tag",
            (
                {"kind": kind, "tag": f"tag-{tag}", "repo_pk": pk}
                for kind, tag in sorted(self.tagged, key=lambda pair: (pair[0], f"tag-{pair[1]}"))
                for pk in self.tagged[kind, tag]
            ),
        )
