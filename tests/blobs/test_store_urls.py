"""Addresses of stores, and the paths of blobs in them."""

from __future__ import annotations

import string
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubstead.blobs import BlobKey, BlobKind, LocalBlobs, MemoryBlobs, layout, open_blobs
from hubstead.errors import InvalidInput


def test_an_address_opens_its_kind_of_store(tmp_path: Path) -> None:
    odd = tmp_path / "ö %20 #x"
    store = open_blobs(odd.as_uri())
    assert isinstance(store, LocalBlobs)
    assert store.root == odd
    assert odd.is_dir()
    assert isinstance(open_blobs("memory:"), MemoryBlobs)


@pytest.mark.parametrize("url", ["", "/data", "ftp://x/y", "s3:///x", "file://host/x", "memory"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        open_blobs(url)


def test_stores_of_files_import_nothing_of_s3() -> None:
    code = (
        "import sys, hubstead.blobs as b; b.open_blobs('memory:');"
        "print([m for m in sys.modules if m.split('.')[0] in ('botocore', 'obstore')])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def keys() -> st.SearchStrategy[BlobKey]:
    def of(kind: BlobKind) -> st.SearchStrategy[BlobKey]:
        names = st.text("0123456789abcdef", min_size=kind.name_chars, max_size=kind.name_chars)
        return names.map(lambda name: BlobKey(kind, name))

    return st.sampled_from(BlobKind).flatmap(of)


@given(keys())
def test_every_blob_has_its_own_path(key: BlobKey) -> None:
    path = layout.blob_path(key)
    assert layout.blob_key(key.kind, path) == key
    assert all(0 < len(part) < 255 and part not in (".", "..") for part in path.split("/"))


@given(st.sampled_from(BlobKind), st.text(string.hexdigits + "/._", max_size=90))
def test_other_paths_are_not_blobs(kind: BlobKind, path: str) -> None:
    key = layout.blob_key(kind, path)
    assert key is None or layout.blob_path(key) == path


@given(st.integers(1, 10_000), st.integers(0, 2**60), st.integers(0, 2**60))
def test_a_marker_encodes_its_fields(number: int, offset: int, size: int) -> None:
    marker = layout.PartMarker(number, offset, size, "ab" * 32)
    assert layout.PartMarker.parse(marker.name) == marker
    assert len(marker.name) < 255


@given(st.text(max_size=100))
def test_other_names_are_not_markers(name: str) -> None:
    assert layout.PartMarker.parse(name) is None
