"""Verifiers accept the right bytes in any pieces, and no others."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubstead.blobs import PackVerifier, Sha256Verifier, Verifier
from hubstead.errors import BlobCorrupt


def feed(verify: Verifier, data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(edges):
        verify.update(memoryview(data)[start:end])
    verify.finish()


CUTS = st.lists(st.integers(0, 10_000), max_size=12)


@given(st.binary(max_size=300), CUTS)
def test_sha256_accepts_the_bytes_in_any_pieces(data: bytes, cuts: list[int]) -> None:
    name = hashlib.sha256(data).hexdigest()
    feed(Sha256Verifier(name, len(data)), data, cuts)
    feed(Sha256Verifier(name), data, cuts)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_sha256_accepts_no_other_bytes(data: bytes, other: bytes) -> None:
    verify = Sha256Verifier(hashlib.sha256(data).hexdigest())
    if data == other:
        feed(verify, other, [])
    else:
        with pytest.raises(BlobCorrupt):
            feed(verify, other, [])


@pytest.mark.parametrize("size", [3, 5])
def test_sha256_requires_the_announced_size(size: int) -> None:
    verify = Sha256Verifier(hashlib.sha256(b"four").hexdigest(), size)
    with pytest.raises(BlobCorrupt, match="bytes"):
        feed(verify, b"four", [])


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A pack of git."""
    folder = tmp_path_factory.mktemp("git")

    def git(*command: str, text: str = "") -> str:
        result = subprocess.run(
            ["git", "-C", folder, *command], input=text, capture_output=True, text=True, check=True
        )
        return result.stdout.strip()

    git("init", "-q")
    oids = [git("hash-object", "-w", "--stdin", text=f"blob {n}") for n in range(5)]
    name = git("pack-objects", "-q", str(folder / "p"), text="\n".join(oids) + "\n")
    return Path(f"{folder}/p-{name}.pack").read_bytes()


@given(cuts=CUTS)
def test_a_real_pack_is_accepted_in_any_pieces(pack: bytes, cuts: list[int]) -> None:
    feed(PackVerifier(), pack, cuts)
    feed(PackVerifier(pack[-20:].hex()), pack, cuts)


@given(at=st.integers(0, 10_000), cuts=CUTS)
def test_a_pack_with_one_wrong_bit_is_refused(pack: bytes, at: int, cuts: list[int]) -> None:
    damaged = bytearray(pack)
    damaged[at % len(pack)] ^= 1 << at % 8
    with pytest.raises(BlobCorrupt):
        feed(PackVerifier(), bytes(damaged), cuts)


@given(length=st.integers(0, 10_000), cuts=CUTS)
def test_a_truncated_pack_is_refused(pack: bytes, length: int, cuts: list[int]) -> None:
    with pytest.raises(BlobCorrupt):
        feed(PackVerifier(), pack[: length % len(pack)], cuts)


def test_a_pack_under_another_name_is_refused(pack: bytes) -> None:
    with pytest.raises(BlobCorrupt):
        feed(PackVerifier("0" * 40), pack, [])
