"""The check of front doors, owners of tables and lengths reports what it forbids, and only that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def check(source: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / "check-structure"), str(source)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A package with a room ``shop`` that exports ``sell``, and a module outside of it."""
    files = {
        "__init__.py": "",
        "outside.py": "",
        "shop/__init__.py": 'from hubstead.shop.sell import sell\n\n__all__ = ["sell"]\n',
        "shop/sell.py": "from hubstead.shop.stock import STOCK\n\ndef sell(): return STOCK\n",
        "shop/stock.py": "STOCK = 1\n",
        "shop/tables.py": "",
    }
    for name, text in files.items():
        path = tmp_path / "hubstead" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_the_hub_has_no_violations() -> None:
    done = check(ROOT / "src")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "line",
    [
        "from hubstead.shop.stock import STOCK",
        "from hubstead.shop.sell import sell",
        "from hubstead.shop import stock",
        "import hubstead.shop.stock",
    ],
)
def test_an_import_past_a_front_door_is_a_fault(source: Path, line: str) -> None:
    path = source / "hubstead" / "outside.py"
    path.write_text(f"\n{line}\n")
    done = check(source)
    assert done.returncode == 1
    assert f"{path}:2: import from hubstead.shop, not from its module" in done.stdout


@pytest.mark.parametrize(
    "line", ["from hubstead.shop import sell", "from hubstead.shop import tables as t"]
)
def test_the_front_door_and_tables_may_be_imported(source: Path, line: str) -> None:
    (source / "hubstead" / "outside.py").write_text(f"{line}\n")
    assert check(source).returncode == 0


@pytest.mark.parametrize("statement", ["insert_into(t)", "insert(t)", "update(t)", "delete(t)"])
def test_a_table_of_blobs_is_written_by_one_module_of_its_room(
    source: Path, statement: str
) -> None:
    writes = f"from hubstead.blobs.tables import holds as t\n\nX = {statement}.values()\n"
    room = source / "hubstead" / "blobs"
    room.mkdir()
    for module in ("__init__", "holds"):
        (room / f"{module}.py").write_text(writes if module == "holds" else "")
    assert check(source).returncode == 0

    (source / "hubstead" / "outside.py").write_text(writes)
    assert "call a function of hubstead.blobs, which alone writes" in check(source).stdout

    (source / "hubstead" / "outside.py").write_text("")
    (room / "second.py").write_text(writes)
    assert "2 modules write hubstead.blobs.tables.holds" in check(source).stdout


def test_a_table_is_written_by_its_room(source: Path) -> None:
    (source / "hubstead" / "outside.py").write_text(
        "from hubstead.shop.tables import wares\n\nX = update(wares).values()\n"
    )
    assert "outside.py:3: call a function of hubstead.shop" in check(source).stdout


def test_tables_of_blobs_are_read_by_rooms_that_join_them_to_their_own(source: Path) -> None:
    reads = "from hubstead.blobs.tables import holds\n"
    (source / "hubstead" / "shop" / "stock.py").write_text(f"{reads}STOCK = 1\n")
    assert check(source).returncode == 0

    (source / "hubstead" / "outside.py").write_text(reads)
    assert "outside.py:1: call a function of hubstead.blobs" in check(source).stdout


@pytest.mark.parametrize(("lines", "status"), [(60, 0), (61, 1)])
def test_a_function_has_at_most_60_lines(source: Path, lines: int, status: int) -> None:
    body = '    """Say\n    nothing."""\n' + "    pass\n" * (lines - 1)
    short = "".join(f"def short{n}(): pass\n" for n in range(30))
    (source / "hubstead" / "outside.py").write_text(f"def long():\n{body}{short}")
    done = check(source)
    assert done.returncode == status, done.stdout
    assert ("long has 61 lines" in done.stdout) is bool(status)


def test_most_functions_are_short(source: Path) -> None:
    body = "    pass\n" * 20
    text = "".join(f"def long{n}():\n{body}" for n in range(5))
    (source / "hubstead" / "outside.py").write_text(text)
    assert "have up to 21 lines" in check(source).stdout


@pytest.mark.parametrize(
    "line",
    [
        "await asyncio.to_thread(sell)",
        "await loop.run_in_executor(None, sell)",
        "threading.Thread(target=sell).start()",
        "pool = ThreadPoolExecutor(4)",
    ],
)
def test_a_thread_outside_of_the_lanes_is_a_fault(source: Path, line: str) -> None:
    path = source / "hubstead" / "outside.py"
    path.write_text(f"async def serve():\n    {line}\n")
    done = check(source)
    assert done.returncode == 1
    assert f"{path}:2: " in done.stdout
    assert "use run_in_lane" in done.stdout


def test_migrations_of_one_number_are_a_fault(source: Path) -> None:
    versions = source / "hubstead" / "db" / "migrations" / "versions"
    versions.mkdir(parents=True)
    for name in ("0001_first.py", "0002_xet.py"):
        (versions / name).write_text("")
    schema = source / "hubstead" / "db" / "connect.py"
    schema.write_text('SCHEMA_VERSION = "0002"\n')
    assert check(source).returncode == 0

    (versions / "0002_other.py").write_text("")
    assert "0002_xet.py:1: this is migration 3 of 3: number it 0003" in check(source).stdout

    (versions / "0002_other.py").unlink()
    schema.write_text('SCHEMA_VERSION = "0001"\n')
    assert 'set SCHEMA_VERSION to "0002"' in check(source).stdout
