"""Any bytes are accepted or refused as a xorb or a shard, and never cause a fault."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.examples import MANY
from tests.support.xet_files import EMPTY_FILE, a_file, a_shard, a_xorb, shard_of, xorb_entry
from tests.xet.vectors import VECTORS

ROOT = Path(__file__).parents[2]
SHORT = 8000
#: Inputs of one format per example of ``make fuzz``.
SHARE = 500


def shards() -> list[bytes]:
    """Return seed shards: those of real clients, and small ones."""
    real = [VECTORS[name] for name in VECTORS if name.startswith(("shard_", "dedup_response"))]
    one, two = a_xorb([b"a", b"bc"]), a_xorb([b"def"])
    small = [
        a_shard([a_file((one, 0, 2), (two, 0, 1))], [one, two]),
        shard_of([EMPTY_FILE], [xorb_entry(one)], tail=b"tail"),
        shard_of([]),
    ]
    return [base64.b64decode(vector["bytes_b64"]) for vector in real] + small


def xorbs() -> list[bytes]:
    """Return seed xorbs, each behind a byte that gives the size of its pieces."""
    plain = a_xorb([b"a", b"bc" * 9])
    packed = a_xorb([b"text " * 300, bytes(range(256)) * 20, bytes(3000)])
    numbers = a_xorb([b"".join(at.to_bytes(4, "big") for at in range(500))])
    old = VECTORS["xorb_with_v1_footer_hf_xet_1_0_0"]
    footer = bytes.fromhex(old["footer_hex"])
    footed = a_xorb([b"x"]).body + footer
    bodies = [plain.body, packed.body, numbers.body, footed, plain.body + b"XETBLOB"]
    return [bytes([step]) + body for body in bodies for step in (0, 7)]


# A child inherits the peak memory of its parent over exec, so a small process has to fork it.
FROM_A_SMALL_PROCESS = ("/bin/sh", "-c", '"$@"; exit $?', "sh")


@pytest.mark.parametrize("format_", ["shard", "xorb"])
def test_no_bytes_of_a_format_cause_a_fault(format_: str, tmp_path: Path) -> None:
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    for number, seed in enumerate({"shard": shards, "xorb": xorbs}[format_]()):
        (seeds / str(number)).write_bytes(seed)
    runs = max(SHORT, MANY * SHARE)
    result = subprocess.run(
        [
            *FROM_A_SMALL_PROCESS,
            *(sys.executable, "-m", "tests.fuzz.formats", format_, str(seeds)),
            *(f"-runs={runs}", f"-seed={0 if MANY else 1}", "-max_len=20000"),
            *("-timeout=20", "-rss_limit_mb=400", f"-artifact_prefix={tmp_path}/fault-"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    faults = [path.read_bytes().hex() for path in tmp_path.glob("fault-*")]
    assert result.returncode == 0, (faults, result.stdout[-3000:], result.stderr[-3000:])
    # All inputs ran, and some reached new code.
    assert re.search(rf"Done {runs} runs", result.stderr), result.stderr[-3000:]
    assert "NEW" in result.stderr
