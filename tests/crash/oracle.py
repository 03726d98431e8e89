"""The expected state, from acknowledged requests, and the observed state of a hub."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.support.http import Connection

LFS = {"Content-Type": "application/vnd.git-lfs+json", "Accept": "application/vnd.git-lfs+json"}
SHARED = "admin/shared"
_MADE_BY_THE_HUB = ".gitattributes"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Tip:
    """The position of a ref: its commit, None if unacknowledged, and its files."""

    commit: str | None
    files: dict[str, str] = field(default_factory=dict)  # path to the sha256 of its content


@dataclass
class RepoState:
    private: bool = False
    branches: dict[str, Tip] = field(default_factory=dict)
    tags: dict[str, Tip] = field(default_factory=dict)
    #: Uploaded and not yet committed objects, and their sizes.
    uploaded: dict[str, int] = field(default_factory=dict)


@dataclass
class State:
    """Everything that one client wrote. It is the only writer, except in the shared repository."""

    repos: dict[str, RepoState] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)  # old name to current name
    deleted: list[str] = field(default_factory=list)
    shared: dict[str, str] = field(default_factory=dict)  # its files in the shared repository
    shared_commits: int = 0

    def copy(self) -> State:
        return copy.deepcopy(self)


def differences(wanted: State, seen: State) -> list[str]:
    """Return what ``seen`` lacks or has in excess; [] if all acknowledged writes are there."""
    lines = []
    for name in sorted(wanted.repos.keys() | seen.repos.keys()):
        one, other = wanted.repos.get(name), seen.repos.get(name)
        if one is None or other is None:
            lines.append(f"{name}: {'is there' if other else 'is not there'}")
            continue
        if one.private != other.private:
            lines.append(f"{name}: private is {other.private}")
        lines += [f"{name}: {text}" for text in _refs(one.branches, other.branches)]
        lines += [f"{name}: tag {text}" for text in _refs(one.tags, other.tags)]
        if missing := one.uploaded.keys() - other.uploaded.keys():
            lines.append(f"{name}: uploads {sorted(missing)} are not there")
    for name in sorted(wanted.aliases.keys() | seen.aliases.keys()):
        if wanted.aliases.get(name) != seen.aliases.get(name):
            lines.append(f"{name}: leads to {seen.aliases.get(name)}")
    if wanted.shared != seen.shared:
        lines.append(f"{SHARED}: {_files(wanted.shared, seen.shared)}")
    return lines


def _refs(wanted: dict[str, Tip], seen: dict[str, Tip]) -> Iterable[str]:
    for name in sorted(wanted.keys() | seen.keys()):
        one, other = wanted.get(name), seen.get(name)
        if one is None or other is None:
            yield f"{name} {'is there' if other else 'is not there'}"
        elif one.commit is not None and one.commit != other.commit:
            yield f"{name} is at {other.commit}, not at {one.commit}"
        elif one.files != other.files:
            yield f"{name}: {_files(one.files, other.files)}"


def _files(wanted: dict[str, str], seen: dict[str, str]) -> list[tuple[str, str]]:
    return sorted(set(wanted.items()) ^ set(seen.items()))


def adopt(wanted: State, seen: State) -> None:
    """Fill in the commits of unacknowledged writes."""
    for name, repo in wanted.repos.items():
        for expected, observed in (
            (repo.branches, seen.repos[name].branches),
            (repo.tags, seen.repos[name].tags),
        ):
            for ref, tip in expected.items():
                tip.commit = observed[ref].commit


# -- observation ------------------------------------------------------------------------------


@dataclass
class Observer:
    """Reads the whole state of a client from a running hub, every byte of it."""

    caller: Connection
    _read: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)

    def observe(self, client: str, candidates: list[State]) -> State:
        """Read everything that one of the candidates mentions."""
        seen = State()
        names = {name for candidate in candidates for name in candidate.repos}
        for name in names:
            repo = self._repo(name)
            if repo is not None:
                seen.repos[name] = repo
                objects = {
                    oid: size
                    for candidate in candidates
                    if name in candidate.repos
                    for oid, size in candidate.repos[name].uploaded.items()
                }
                repo.uploaded = self._uploaded(name, objects)
        for old in {old for candidate in candidates for old in candidate.aliases}:
            to = self._target_of(old)
            if to is not None:
                seen.aliases[old] = to
        for name in {name for candidate in candidates for name in candidate.deleted} - names:
            assert self._get(f"/api/models/{name}").status in (404, 307), f"{name} is back"
        seen.shared = self._files(SHARED, "main", below=f"{client}/")
        return seen

    def shared_commits(self) -> int:
        response = self._get(f"/api/models/{SHARED}/commits/main?limit=1")
        return int(response.headers["x-total-count"])

    def _get(self, url: str) -> Any:
        response = self.caller("GET", url)
        assert response.status < 500, (url, response.status, response.body)
        return response

    def _repo(self, name: str) -> RepoState | None:
        response = self._get(f"/api/models/{name}")
        if response.status in (404, 307):
            return None
        assert response.status == 200, (name, response.status, response.body)
        assert response.json["id"] == name
        refs = self._get(f"/api/models/{name}/refs").json
        state = RepoState(private=response.json["private"])
        for kind, tips in (("branches", state.branches), ("tags", state.tags)):
            for ref in refs[kind]:
                commit = ref["targetCommit"]
                tips[ref["name"]] = Tip(commit, self._files(name, commit))
        assert response.json["sha"] == state.branches["main"].commit, (
            "the list of refs says otherwise"
        )
        return state

    def _files(self, name: str, revision: str, below: str = "") -> dict[str, str]:
        key = (name, revision + below)
        if key not in self._read:
            folder = f"/{below.rstrip('/')}" if below else ""
            response = self._get(f"/api/models/{name}/tree/{revision}{folder}?recursive=true")
            if response.status == 404 and below:
                return {}
            assert response.status == 200, (name, revision, response.status, response.body)
            paths = [item["path"] for item in response.json if item["type"] == "file"]
            self._read[key] = {
                path: self._content(name, revision, path)
                for path in paths
                if path != _MADE_BY_THE_HUB
            }
        return self._read[key]

    def _content(self, name: str, revision: str, path: str) -> str:
        response = self._get(f"/{name}/resolve/{revision}/{path}")
        assert response.status == 200, (name, revision, path, response.status, response.body)
        return digest(response.body)

    def _uploaded(self, name: str, objects: dict[str, int]) -> dict[str, int]:
        if not objects:
            return {}
        body = {
            "operation": "upload",
            "transfers": ["basic", "multipart"],
            "hash_algo": "sha256",
            "objects": [{"oid": oid, "size": size} for oid, size in objects.items()],
        }
        response = self.caller("POST", f"/{name}.git/info/lfs/objects/batch", body, headers=LFS)
        assert response.status == 200, (name, response.status, response.body)
        return {
            entry["oid"]: entry["size"]
            for entry in response.json["objects"]
            if not entry.get("actions")
        }

    def _target_of(self, old: str) -> str | None:
        response = self._get(f"/api/models/{old}")
        if response.status != 307:
            return None
        return str(response.headers["location"]).removeprefix("/api/models/")
