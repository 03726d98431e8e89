"""The tags in use, by type."""

from __future__ import annotations

import msgspec

from hubstead.db import Database, Tx
from hubstead.discovery import tags_by_type
from hubstead.ids import Kind
from hubstead.repos import RepoMetadata, set_metadata
from tests.support.factories import a_repo, a_user


async def a_tagged_repo(
    db: Database, name: str, kind: Kind, *tags: str, private: bool = False, library: str = ""
) -> None:
    anna = await a_user(db, name)
    repo = await a_repo(db, anna, f"{name}/one", kind=kind, private=private)

    async def change(tx: Tx) -> None:
        derived = RepoMetadata(tags=tags, library_name=library or None)
        await set_metadata(tx, repo.pk, kind, None, derived)

    await db.write(change)


async def test_every_type_is_listed_even_without_tags(db: Database) -> None:
    models = await tags_by_type(db, Kind.MODEL)
    assert {"library", "language", "license", "dataset", "pipeline_tag"} <= models.keys()
    datasets = await tags_by_type(db, Kind.DATASET)
    assert {
        "languages", "licenses", "language", "license", "multilinguality", "language_creators",
        "task_categories", "size_categories", "benchmark", "task_ids",
    } <= datasets.keys()  # fmt: skip
    assert not any(models.values())
    assert not any(datasets.values())


async def test_tags_of_models_are_grouped_by_meaning(db: Database) -> None:
    tags = ("mylib", "safetensors", "fill-mask", "en", "license:mit", "dataset:squad", "bert")
    await a_tagged_repo(db, "anna", Kind.MODEL, *tags, "region:us", library="mylib")
    await a_tagged_repo(db, "bob", Kind.MODEL, "en")
    by_type = await tags_by_type(db, Kind.MODEL)
    assert {name: [tag.id for tag in tags] for name, tags in by_type.items()} == {
        "pipeline_tag": ["fill-mask"],
        "library": ["mylib", "safetensors"],
        "dataset": ["dataset:squad"],
        "language": ["en"],
        "license": ["license:mit"],
        "other": ["bert"],
    }
    assert msgspec.to_builtins(by_type["license"]) == [
        {"id": "license:mit", "label": "mit", "type": "license"}
    ]


async def test_tags_of_datasets_have_the_older_names_of_types(db: Database) -> None:
    await a_tagged_repo(db, "anna", Kind.DATASET, "language:en", "size_categories:n<1K")
    tags = await tags_by_type(db, Kind.DATASET)
    assert [tag.id for tag in tags["language"]] == ["language:en"]
    assert [tag.id for tag in tags["languages"]] == ["languages:en"]
    assert [tag.label for tag in tags["size_categories"]] == ["n<1K"]


async def test_the_most_used_tags_come_first(db: Database) -> None:
    await a_tagged_repo(db, "anna", Kind.SPACE, "rare", "common")
    await a_tagged_repo(db, "bob", Kind.SPACE, "common")
    assert [tag.id for tag in (await tags_by_type(db, Kind.SPACE))["other"]] == ["common", "rare"]


async def test_tags_of_a_private_repository_are_hidden(db: Database) -> None:
    await a_tagged_repo(
        db, "anna", Kind.MODEL, "secret", "secretlib", private=True, library="secretlib"
    )
    assert not any((await tags_by_type(db, Kind.MODEL)).values())
