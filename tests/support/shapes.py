"""Decides which half of the suite a run takes: ``--half quick``, ``rest`` or both.

A test that runs on both shapes of a hub is parametrised by shape, by database or by store. The rule
is the layer that it tests:

- Rooms up to ``commits`` hold the SQL and the bytes of every write, so shapes differ there:
  ``quick`` runs their tests on every database and store.
- What stands above them (wires, pages, commands, clients, doctor, garbage, backup) calls these
  rooms through one interface: ``quick`` runs its tests on SQLite and files, and leaves PostgreSQL
  and S3 to ``rest``, unless a test is marked ``shape_matters``: its subject differs by shape.

``make test`` runs ``quick``, ``make test-rest`` the other tests, ``.ci/run`` both.
"""

from __future__ import annotations

from pathlib import Path

import pytest

#: Folders of tests that reach a hub over the network or by its command.
ABOVE_THE_ROOMS = frozenset(
    "backup cli client clients crash doctor fuzz garbage http pages wire world".split()
)
#: Parameters that stand for the company shape, its database or its store.
COMPANY = frozenset(("company", "postgresql", "s3"))

_TESTS = Path(__file__).parents[1]


def is_left_to_rest(item: pytest.Item) -> bool:
    """Tell whether ``quick`` leaves this test to ``rest``."""
    room = item.path.relative_to(_TESTS).parts[0]
    if room not in ABOVE_THE_ROOMS or item.get_closest_marker("shape_matters"):
        return False
    callspec = getattr(item, "callspec", None)
    return callspec is not None and not COMPANY.isdisjoint(
        value for value in callspec.params.values() if isinstance(value, str)
    )


def select_half(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests of the half that ``--half`` does not name."""
    half = config.getoption("--half")
    if half is None:
        return
    wanted = half == "rest"
    other = [item for item in items if is_left_to_rest(item) != wanted]
    items[:] = [item for item in items if is_left_to_rest(item) == wanted]
    config.hook.pytest_deselected(items=other)
