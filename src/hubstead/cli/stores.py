"""Opening everything that holds content, for the commands that need more than the database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hubstead.blobs import S3Options, open_blobs
from hubstead.cli.places import opened_database
from hubstead.commits import Stores
from hubstead.gitstore import GitStore
from hubstead.settings import Settings


@asynccontextmanager
async def opened_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Open database, git folders and blobs while the block lasts."""
    async with opened_database(settings) as db:
        options = S3Options(
            endpoint=settings.s3_endpoint,
            region=settings.s3_region,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key,
            session_token=settings.s3_session_token,
            path_style=settings.s3_path_style,
        )
        blobs = open_blobs(settings.blobs_url, options=options)
        try:
            yield Stores(
                db=db,
                git=GitStore(settings.git_root),
                blobs=blobs,
                settings=settings,
                packs_are_blobs=settings.blobs_url.startswith("s3://"),
            )
        finally:
            await blobs.close()
