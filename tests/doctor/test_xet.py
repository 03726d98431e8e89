"""Faults in xorbs and Xet files are planted, and reported."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from hubstead.blobs import BlobKey, BlobKind, register_blob, register_reconstructable
from hubstead.blobs.tables import blobs
from hubstead.db import Tx, indexed
from hubstead.doctor import Inspection, Severity, run_checks
from hubstead.doctor.findings import Finding
from hubstead.doctor.xet_files import reconstructable_objects, xet_files
from hubstead.doctor.xorbs import xorbs
from hubstead.ids import now_ms
from hubstead.xet import Term, Terms
from hubstead.xet.tables import xet_file_xorbs
from hubstead.xet.tables import xet_files as xet_files_table
from hubstead.xet.tables import xorbs as xorbs_table
from tests.blobs.test_stores import AnyBytes
from tests.doctor.conftest import DoctorHub
from tests.doctor.test_examination import FAULT, LEFTOVER, find, plant, summary
from tests.support.xet_files import SampleFile, SampleXorb, a_file, a_xorb

in_files = pytest.mark.parametrize("sample", ["files"], indirect=True)


@dataclass
class Xet:
    """Two xorbs, and a file of both that a repository links."""

    sample: DoctorHub
    first: SampleXorb
    second: SampleXorb
    file: SampleFile
    keys: dict[str, BlobKey]

    async def replace_bytes(self, xorb: SampleXorb, body: bytes) -> None:
        """Replace the bytes in the store, as a damaged disk would."""
        blobs = self.sample.stores.blobs
        await blobs.delete(self.keys[xorb.name])
        await blobs.put(self.keys[xorb.name], body, AnyBytes())


@pytest.fixture
def xet(sample: DoctorHub, run: Any) -> Xet:
    return run(stored(sample))  # type: ignore[no-any-return]


async def stored(sample: DoctorHub) -> Xet:
    noise = random.Random(3)
    first = a_xorb([noise.randbytes(9000), bytes(5000), noise.randbytes(70_000)])
    second = a_xorb([b"abcd" * 4000, noise.randbytes(3)])
    file = a_file((first, 0, 3), (second, 0, 1), (first, 1, 2))
    keys = {xorb.name: BlobKey(BlobKind.XORB, secrets.token_hex(32)) for xorb in (first, second)}
    for xorb in (first, second):
        await sample.stores.blobs.put(keys[xorb.name], xorb.body, AnyBytes())

    async def write(tx: Tx) -> None:
        for xorb in (first, second):
            await register_blob(tx, keys[xorb.name], len(xorb.body))
            await tx.run(indexed(insert(xorbs_table).values(**row_of(xorb, keys[xorb.name]))))
        await add_file(tx, sample, file, (first, second))

    await sample.stores.db.write(write)
    return Xet(sample, first, second, file, keys)


def row_of(xorb: SampleXorb, key: BlobKey) -> dict[str, object]:
    now = now_ms()
    return {
        "name": xorb.name,
        "blob": key.name,
        "bytes": xorb.index.size,
        "unpacked": xorb.index.unpacked,
        "chunks": len(xorb.index),
        "entries": xorb.index.pack(),
        "created_ms": now,
        "touched_ms": now,
    }


async def add_file(tx: Tx, sample: DoctorHub, file: SampleFile, of: Iterable[SampleXorb]) -> None:
    row = {"name": file.name, "sha256": file.sha256, "bytes": len(file.content)}
    row |= {"terms": Terms.of(file.terms).pack(), "created_ms": 1, "touched_ms": 1}
    await tx.run(indexed(insert(xet_files_table).values(**row)))
    for xorb in of:
        pks = select(xet_files_table.c.pk, xorbs_table.c.pk).where(
            xet_files_table.c.name == file.name, xorbs_table.c.name == xorb.name
        )
        await tx.run(indexed(insert(xet_file_xorbs).from_select(["file_pk", "xorb_pk"], pks)))
    files = [(file.sha256, len(file.content))]
    await register_reconstructable(tx, sample.repo.pk, files, pusher_pk=None, hold_ms=86_400_000)


async def messages(xet: Xet, **options: Any) -> dict[str, str]:
    """Return the findings about xorbs and Xet files, by subject."""
    checks = [xorbs, xet_files, reconstructable_objects]
    inspection = Inspection(xet.sample.stores, **options)
    findings: list[Finding] = [finding async for finding in run_checks(inspection, checks)]
    assert all(finding.severity is Severity.FAULT for finding in findings)
    return {finding.subject: finding.what for finding in findings}


def of_file(xet: Xet, **values: Any) -> Any:
    return update(xet_files_table).where(xet_files_table.c.name == xet.file.name).values(**values)


def of_xorb(xorb: SampleXorb, **values: Any) -> Any:
    return update(xorbs_table).where(xorbs_table.c.name == xorb.name).values(**values)


async def test_xorbs_and_files_in_order_have_no_findings(xet: Xet) -> None:
    assert await find(xet.sample) == []
    assert await find(xet.sample, deep=True) == []
    assert await find(xet.sample, quick=True) == []


async def test_a_xorb_with_lost_bytes_is_reported(xet: Xet) -> None:
    await xet.sample.stores.blobs.delete(xet.keys[xet.first.name])
    findings = await find(xet.sample, deep=True)
    assert [(f.check, f.severity) for f in findings] == [("blob_bytes", FAULT)]
    assert findings[0].subject == f"blob {xet.keys[xet.first.name]}"
    assert "backup" in findings[0].hint
    await xet.replace_bytes(xet.first, xet.first.body[:-1])
    (message,) = await find(xet.sample)
    assert message.what.endswith(f"instead of {len(xet.first.body)}")


async def test_a_xorb_whose_blob_has_no_row_is_reported(xet: Xet) -> None:
    this_blob = blobs.c.name == xet.keys[xet.first.name].name
    subject = f"xorb {xet.first.name}"
    await plant(xet.sample, update(blobs).where(this_blob).values(unreferenced_ms=7))
    assert await messages(xet, quick=True) == {subject: "its blob is pending deletion"}
    await plant(xet.sample, update(blobs).where(this_blob).values(unreferenced_ms=None, bytes=7))
    assert "7 bytes instead of" in (await messages(xet, quick=True))[subject]
    await plant(xet.sample, delete(blobs).where(this_blob))
    assert await messages(xet, quick=True) == {subject: "its blob has no row"}


async def test_a_blob_without_a_xorb_is_a_leftover(xet: Xet) -> None:
    key = BlobKey(BlobKind.XORB, "9" * 64)
    await xet.sample.stores.blobs.put(key, b"x", AnyBytes())
    await xet.sample.stores.db.write(lambda tx: register_blob(tx, key, 1))
    assert await summary(xet.sample) == {("xorbs", LEFTOVER)}


@in_files
async def test_an_index_that_does_not_fit_is_reported(xet: Xet) -> None:
    subject = f"xorb {xet.first.name}"
    await plant(xet.sample, of_xorb(xet.first, chunks=2))
    assert await messages(xet) == {subject: "its row does not match its index"}
    assert await messages(xet, quick=True) == {}
    await plant(xet.sample, of_xorb(xet.first, entries=b"short"))
    assert "cannot be read" in (await messages(xet))[subject]


@in_files
async def test_an_index_of_other_chunks_is_reported_by_a_deep_examination(xet: Xet) -> None:
    packed = xet.second.index.pack()
    await plant(xet.sample, of_xorb(xet.second, entries=bytes(32) + packed[32:]))
    findings = await messages(xet, deep=True)
    assert findings.pop(f"xorb {xet.second.name}") == "its index does not match its bytes"
    assert findings == {f"file {xet.file.name}": "the hash of its chunks is not its name"}


async def test_damaged_bytes_are_reported_by_a_deep_examination(xet: Xet) -> None:
    body = bytearray(xet.first.body)
    body[5000] ^= 1
    await xet.replace_bytes(xet.first, bytes(body))
    assert await messages(xet) == {}
    findings = await messages(xet, deep=True)
    assert findings.keys() == {f"xorb {xet.first.name}", f"file {xet.file.name}"}
    assert "its name is not the one" in findings[f"xorb {xet.first.name}"]
    assert f"instead of {xet.file.sha256}" in findings[f"file {xet.file.name}"]
    [marked] = await find(xet.sample)  # and reported from now on without another deep read
    assert "marked as damaged" in marked.what


async def test_bytes_that_are_no_records_are_reported_by_a_deep_examination(xet: Xet) -> None:
    await xet.replace_bytes(xet.first, bytes(len(xet.first.body)))
    assert (await messages(xet, deep=True)).keys() == {
        f"xorb {xet.first.name}",
        f"file {xet.file.name}",
    }


async def test_a_file_with_a_wrong_sha256_is_reported_by_a_deep_examination(xet: Xet) -> None:
    wrong = "a" * 64
    await plant(xet.sample, of_file(xet, sha256=wrong))
    subject = f"file {xet.file.name}"
    findings = await messages(xet, deep=True)
    assert findings.pop(subject) == (
        f"its bytes have the sha256 {xet.file.sha256} instead of {wrong}"
    )
    assert "no Xet file" in findings[f"blob lfs/{xet.file.sha256}"]


async def test_dangling_terms_are_reported(xet: Xet) -> None:
    subject = f"file {xet.file.name}"

    async def with_terms(*terms: Term) -> str:
        await plant(xet.sample, of_file(xet, terms=Terms.of(terms).pack()))
        return (await messages(xet)).get(subject, "nothing")

    one, two, three = xet.file.terms
    assert await with_terms(one, two, three) == "nothing"
    missing = await with_terms(one, two, three._replace(xorb=bytes(32)))
    assert missing == f"it needs the xorb {'0' * 64}, which is missing (1 such)"
    assert "do not match its terms" in await with_terms(one, one, three)
    assert "bytes instead of" in await with_terms(one, two)
    assert "not in its xorb" in await with_terms(one, two, three._replace(end=4))
    assert "not in its xorb" in await with_terms(one, two, three._replace(end=1))
    swapped = three._replace(bytes=two.bytes), two._replace(bytes=three.bytes)
    assert "other lengths" in await with_terms(one, *swapped)
    assert await with_terms(two, one, three) == "the hash of its chunks is not its name"
    await plant(xet.sample, of_file(xet, terms=b"short"))
    assert "cannot be read" in (await messages(xet))[subject]


async def test_a_reconstructable_object_without_a_file_is_reported(xet: Xet) -> None:
    subject = f"blob lfs/{xet.file.sha256}"
    this_blob = blobs.c.name == xet.file.sha256
    await plant(xet.sample, update(blobs).where(this_blob).values(bytes=3))
    assert (await messages(xet, quick=True))[subject].startswith("it has 3 bytes, but its Xet file")
    await plant(xet.sample, delete(xet_file_xorbs), delete(xet_files_table))
    assert await messages(xet, quick=True) == {
        subject: "it has to be reconstructed from xorbs, but has no Xet file"
    }
    await plant(xet.sample, update(blobs).where(this_blob).values(reconstructable_ms=None, bytes=7))
    assert ("blob_bytes", FAULT) in await summary(xet.sample)


@in_files
async def test_plain_bytes_of_a_reconstructable_object_are_no_fault(xet: Xet) -> None:
    key = BlobKey(BlobKind.LFS, xet.file.sha256)
    await xet.sample.stores.blobs.put(key, xet.file.content, AnyBytes())
    assert await find(xet.sample, deep=True) == []


@in_files
async def test_memory_for_indexes_and_hashes_is_limited(xet: Xet) -> None:
    assert await messages(xet, deep=True, cached_xorb_indexes=1) == {}
    await plant(xet.sample, of_file(xet, name="1" * 64))
    assert await messages(xet, largest_hashed_bytes=1) == {}
    assert (await messages(xet)).keys() == {f"file {'1' * 64}"}
