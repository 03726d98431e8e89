"""Opens the blob store at a URL of the settings."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from hubstead.blobs.interface import BlobStore
from hubstead.blobs.local import LocalBlobs
from hubstead.blobs.memory import MemoryBlobs
from hubstead.blobs.s3_options import S3Options
from hubstead.errors import InvalidInput


def open_blobs(url: str, *, options: S3Options | None = None, min_free_bytes: int = 0) -> BlobStore:
    """Open the store at ``url``; close it when done.

    Args:
        url: ``file:///folder`` (percent-encoded), ``s3://bucket/prefix`` or ``memory:``.
        options: The options of the S3 server.
        min_free_bytes: Files only: refuse writes when the disk has less free space.

    Raises:
        InvalidInput: if the URL is invalid, or the extra ``s3`` is not installed.
        Unavailable: if creating the folder fails. `ready` sends the first request to S3.
    """
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise InvalidInput(reason=f"an address of blobs has no query and no fragment: {url}")
    if url == "memory:":
        return MemoryBlobs()
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return LocalBlobs(Path(unquote(parts.path)), min_free_bytes=min_free_bytes)
    if parts.scheme == "s3" and parts.netloc:
        return _open_s3(parts.netloc, unquote(parts.path).strip("/"), options or S3Options())
    raise InvalidInput(reason=f"not an address of a blob store: {url}")


def _open_s3(bucket: str, prefix: str, options: S3Options) -> BlobStore:
    try:
        from hubstead.blobs.s3 import S3Blobs
    except ImportError as error:
        raise InvalidInput(
            reason=f"blobs in S3 need more packages ({error}): pip install 'hubstead[s3]'"
        ) from error
    return S3Blobs(bucket, prefix, options)
