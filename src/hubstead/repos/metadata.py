"""Metadata derived from the default branch and stored with the repository, for fast lists."""

from __future__ import annotations

import msgspec
from sqlalchemy import bindparam, delete, update

from hubstead.db import Tx, indexed, insert_into
from hubstead.ids import Kind
from hubstead.repos.tables import repo_tags, repos


class RepoMetadata(msgspec.Struct, frozen=True):
    """The metadata that ``cards`` derives from the tip of the default branch."""

    card: str | None = None  # JSON of the front matter
    config: str | None = None  # JSON of the part of config.json that model info carries
    pipeline_tag: str | None = None
    library_name: str | None = None
    sdk: str | None = None
    tags: tuple[str, ...] = ()


_SET = indexed(
    update(repos)
    .values(
        head=bindparam("tip"),
        card=bindparam("card_json"),
        config=bindparam("config_json"),
        pipeline_tag=bindparam("task"),
        library_name=bindparam("library"),
        tags=bindparam("tags_json"),
        sdk=bindparam("space_sdk"),
    )
    .where(repos.c.pk == bindparam("repo_pk"))
)
_UNTAG = indexed(delete(repo_tags).where(repo_tags.c.repo_pk == bindparam("which_pk")))
_TAG = indexed(insert_into(repo_tags, "kind", "tag", "repo_pk").on_conflict_do_nothing())


async def set_metadata(
    tx: Tx, repo_pk: int, kind: Kind, head: str | None, derived: RepoMetadata
) -> None:
    """Replace the derived metadata, in the transaction that moves the default branch."""
    await tx.run(
        _SET,
        repo_pk=repo_pk,
        tip=head,
        card_json=derived.card,
        config_json=derived.config,
        task=derived.pipeline_tag,
        library=derived.library_name,
        tags_json=msgspec.json.encode(derived.tags).decode(),
        space_sdk=derived.sdk,
    )
    await tx.run(_UNTAG, which_pk=repo_pk)
    rows = [{"kind": kind.value, "tag": tag, "repo_pk": repo_pk} for tag in set(derived.tags)]
    await tx.run_many(_TAG, rows)
