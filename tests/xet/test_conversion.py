"""Plain LFS objects are converted into chunks exactly, before their plain bytes are deleted."""

from __future__ import annotations

import hashlib
import random

import pytest

from hubstead.blobs import BlobKey, BlobKind, delete_plain_copies, stored_name_of
from hubstead.xet import ConvertedObject, Converter, ShardRefused, can_compile, plain_objects
from tests.support.hub import ThreadHub
from tests.support.person import Person

pytestmark = pytest.mark.skipif(not can_compile(), reason="the extra `convert` is not installed")


def converter(hub: ThreadHub) -> Converter:
    stores = hub.hub.stores
    return Converter(stores.db, stores.blobs, stores.xet)


def upload(anna: Person, repo: str, path: str, content: bytes) -> str:
    """Upload a file by LFS (Xet is switched off in this suite) and return its sha256."""
    anna.api.upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=repo)
    return hashlib.sha256(content).hexdigest()


def convert(hub: ThreadHub, sha256: str) -> ConvertedObject | None:
    return hub.run(converter(hub).convert(sha256))


async def listed(hub: ThreadHub) -> set[str]:
    return {row.name async for row in plain_objects(hub.db)}


def test_a_converted_object_reads_the_same_and_its_plain_bytes_are_deleted(
    live_hub: ThreadHub,
) -> None:
    anna = live_hub.user()
    repo = anna.repo()
    content = random.Random("converted").randbytes(3_000_001)
    sha256 = upload(anna, repo, "w.bin", content)
    key = live_hub.run(stored_name_of(live_hub.db, BlobKey(BlobKind.LFS, sha256)))
    assert sha256 in live_hub.run(listed(live_hub))
    converted = convert(live_hub, sha256)
    assert converted is not None
    assert converted.bytes == len(content)
    assert sha256 not in live_hub.run(listed(live_hub))
    blobs = live_hub.hub.blobs
    assert live_hub.run(blobs.size(key)) == len(content), "within the grace period it stays"
    live_hub.run(delete_plain_copies(live_hub.db, blobs, grace_ms=-1))
    assert live_hub.run(blobs.size(key)) is None
    response = anna.call("GET", f"/{repo}/resolve/main/w.bin")
    assert response.body == content
    assert len(response.headers["x-xet-hash"]) == 64
    part = anna.call("GET", f"/{repo}/resolve/main/w.bin", Range="bytes=1000000-1999999")
    assert (part.status, part.body) == (206, content[1_000_000:2_000_000])
    assert convert(live_hub, sha256) is None, "it is converted already"


def test_stored_chunks_are_not_stored_again(live_hub: ThreadHub) -> None:
    anna = live_hub.user()
    repo = anna.repo()
    some = random.Random("base and tuned")
    base = some.randbytes(12_000_000)
    convert(live_hub, upload(anna, repo, "base.bin", base))
    tuned = base[:5_000_000] + b"inserted" + base[5_000_000:]
    converted = convert(live_hub, upload(anna, repo, "tuned.bin", tuned))
    assert converted is not None
    assert converted.stored < 600_000
    assert anna.call("GET", f"/{repo}/resolve/main/tuned.bin").body == tuned


def test_repetitive_content_takes_one_chunk(live_hub: ThreadHub) -> None:
    anna = live_hub.user()
    repo = anna.repo()
    converted = convert(live_hub, upload(anna, repo, "zeros.bin", bytes(5_000_000)))
    assert converted is not None
    assert converted.stored < 10_000
    assert anna.call("GET", f"/{repo}/resolve/main/zeros.bin").body == bytes(5_000_000)


def test_a_large_object_fills_several_xorbs(live_hub: ThreadHub) -> None:
    anna = live_hub.user()
    repo = anna.repo()
    content = random.Random("several xorbs").randbytes(70 << 20)
    converted = convert(live_hub, upload(anna, repo, "big.bin", content))
    assert converted is not None
    assert converted.stored > len(content)
    response = anna.call("GET", f"/{repo}/resolve/main/big.bin", Range=f"bytes={60 << 20}-")
    assert response.body == content[60 << 20 :]


def test_damaged_bytes_are_not_converted(embedded_hub: ThreadHub) -> None:
    anna = embedded_hub.user()
    sha256 = upload(anna, anna.repo(), "w.bin", random.Random("damaged").randbytes(300_000))
    stored = embedded_hub.run(stored_name_of(embedded_hub.db, BlobKey(BlobKind.LFS, sha256)))
    blob = embedded_hub.run(embedded_hub.hub.blobs.open(stored))
    assert blob.path is not None
    blob.path.chmod(0o600)
    with blob.path.open("r+b") as file:
        file.seek(1000)
        file.write(b"spoilt")
    with pytest.raises(ShardRefused, match="sha256"):
        convert(embedded_hub, sha256)
    assert sha256 in embedded_hub.run(listed(embedded_hub))


def test_an_object_without_repository_is_not_converted(live_hub: ThreadHub) -> None:
    assert convert(live_hub, "0" * 64) is None
