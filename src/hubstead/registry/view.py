"""The view of one repository: manifests by tag, computed at first use, and files by digest."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TypedDict

import msgspec

from hubstead.admission import Lane, run_in_lane
from hubstead.commits import Storage
from hubstead.errors import StorageFull, Unavailable
from hubstead.facts import GGUF, FactReader, ModelFile
from hubstead.formats import GgufModel, projector_of
from hubstead.gitstore import GitRepo
from hubstead.registry.catalog import Catalog, load_catalog
from hubstead.registry.errors import ManifestRefused, ManifestUnknown
from hubstead.registry.manifests import Form, ModelFiles, build_manifest
from hubstead.registry.stored import (
    StoredManifest,
    find_manifest_of,
    is_due,
    save_manifest,
    touch,
)
from hubstead.repos import Repo
from hubstead.xet import find_lfs_object

MAX_TEXT_BYTES = 64 << 10
MAX_LICENSE_BYTES = 1 << 20
#: Entries of the root among which a licence is sought.
MAX_ROOT_ENTRIES = 10_000


class RegistryView:
    """The registry view of repositories; ``wire/registry`` asks it after it has opened one."""

    def __init__(self, storage: Storage, facts: FactReader) -> None:
        self._db = storage.db
        self._facts = facts

    async def catalog(self, repo: Repo, git: GitRepo, commit: str) -> Catalog:
        """Return the GGUF models of a commit."""
        return await load_catalog(self._facts, repo, git, commit)

    async def manifest(
        self, repo: Repo, git: GitRepo, commit: str, tag: str, form: Form, *, explain: bool
    ) -> StoredManifest:
        """Return the manifest of the model that a tag means at a commit, computed at first use.

        Raises:
            ManifestUnknown, TagRefused: see ``Catalog.model``.
            ManifestRefused: ``template``, ``system`` or ``params`` of the repository is invalid.
            BlobNotFound, Unavailable: the header of the file cannot be read now.
        """
        catalog = await self.catalog(repo, git, commit)
        model = catalog.model(tag, whole=form is not Form.LLAMA_CPP, explain=explain)
        path = model.paths[0]
        row = await find_manifest_of(self._db, repo.pk, commit, path, form)
        if row is None:
            return await self._compute(repo, git, catalog, model, form)
        if await is_due(self._db, row):
            with suppress(StorageFull, Unavailable):
                await self._db.write(touch, repo_pk=repo.pk, commit=commit)
        return row

    async def _compute(
        self, repo: Repo, git: GitRepo, catalog: Catalog, model: GgufModel, form: Form
    ) -> StoredManifest:
        file = catalog.files[model.paths[0]]
        git_files: dict[str, str] = {}
        sha256 = await self._digest(repo, git, file, git_files)
        projector = projector_of(model, catalog.files)
        beside = catalog.files[projector] if projector else None
        facts = await self._facts.read(repo.pk, git, GGUF, [file])
        root = await run_in_lane(
            Lane.READS, _read_root, git, catalog.commit, strict=_uses_texts(form)
        )
        files = ModelFiles(
            model=file,
            sha256=sha256,
            label=model.label,
            facts=facts.get(file.path),
            created=_date(git, catalog.commit),
            projector=(beside, await self._digest(repo, git, beside, git_files))
            if beside
            else None,
            **root,
        )
        manifest = build_manifest(files, form)
        save = partial(
            save_manifest,
            repo_pk=repo.pk,
            commit=catalog.commit,
            path=file.path,
            form=form,
            manifest=manifest,
            git_files=git_files,
        )
        with suppress(StorageFull, Unavailable):  # its reader has it, the next one computes it
            await self._db.write(save)
        digest = hashlib.sha256(manifest.body).hexdigest()
        return StoredManifest(digest, catalog.commit, manifest.media_type, manifest.body, 0)

    async def _digest(
        self, repo: Repo, git: GitRepo, file: ModelFile, git_files: dict[str, str]
    ) -> str:
        """Return the sha256 of a file's content; add it to ``git_files`` if the content is in git.

        A pointer is only text: the object must be in this repository.
        """
        if file.sha256 is None:
            content = await run_in_lane(Lane.READS, git.blob, file.oid)
            sha256 = hashlib.sha256(content).hexdigest()
            git_files[sha256] = file.oid
            return sha256
        lfs = await find_lfs_object(self._db, repo.pk, file.sha256)
        if lfs is None or not lfs.committed:
            raise ManifestUnknown(reason=f"The content of {file.path} is not in this repository")
        return file.sha256


def _uses_texts(form: Form) -> bool:
    return form is not Form.LLAMA_CPP


class _RootTexts(TypedDict):
    template: bytes | None
    system: bytes | None
    params: bytes | None
    license: bytes | None


def _read_root(git: GitRepo, commit: str, *, strict: bool) -> _RootTexts:
    """Read the files of a repository's root that become layers.

    Args:
        git: The repository's objects.
        commit: The commit.
        strict: Whether a file that is not what it should be is an error, or left out.

    Raises:
        ManifestRefused: ``params`` is no JSON object, or a file is too large.
    """
    try:
        params = _text(git, commit, "params")
        if params is not None and not _is_object(params):
            raise ManifestRefused(reason='The file "params" of this repository is no JSON object')
        return _RootTexts(
            template=_text(git, commit, "template"),
            system=_text(git, commit, "system"),
            params=params,
            license=_license(git, commit),
        )
    except ManifestRefused:
        if strict:
            raise
        return _RootTexts(template=None, system=None, params=None, license=None)


def _text(git: GitRepo, commit: str, name: str) -> bytes | None:
    entry = git.entry(commit, name)
    if entry is None or entry.type != "blob":
        return None
    if git.blob_facts(entry.oid).size > MAX_TEXT_BYTES:
        raise ManifestRefused(
            reason=f'The file "{name}" of this repository exceeds {MAX_TEXT_BYTES} bytes'
        )
    return git.blob(entry.oid)


def _license(git: GitRepo, commit: str) -> bytes | None:
    for entry in git.tree_page(commit, "", limit=MAX_ROOT_ENTRIES):
        if entry.type == "blob" and entry.path.startswith("LICENSE"):
            facts = git.blob_facts(entry.oid)
            if facts.pointer is None and facts.size <= MAX_LICENSE_BYTES:
                return git.blob(entry.oid)
    return None


def _is_object(content: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(content), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _date(git: GitRepo, commit: str) -> str:
    """Return the committer's date: the same for every pull of a commit."""
    return f"{datetime.fromtimestamp(git.commit(commit).time_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
