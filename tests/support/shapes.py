"""Decides which half of the suite a run takes: ``--half quick``, ``rest`` or both.

- ``quick`` runs every room on SQLite and files. It runs the tests of ``db``, ``jobs``, ``outbox``
  and ``blobs`` on every database and store, because their subject is what an engine does: its
  locks, its clock, its conditions. A test of another room does the same if it is marked
  ``shape_matters``: writers race in it.
- ``rest`` runs the other tests on PostgreSQL and S3. On every shape it also runs what takes
  minutes: tests marked ``long``, and the folders of client releases and of killed servers.

``make test`` runs ``quick``, ``make test-rest`` the other tests, ``.ci/run`` both.
"""

from __future__ import annotations

from pathlib import Path

import pytest

#: Rooms whose subject is what a database or a store does.
ENGINES = frozenset(("blobs", "db", "jobs", "outbox"))
#: Folders of tests that install releases of clients, or kill servers again and again.
SLOW = frozenset(("clients", "crash", "soak", "world"))
#: Parameters that stand for the company shape, its database or its store.
COMPANY = frozenset(("company", "postgresql", "s3"))

_TESTS = Path(__file__).parents[1]


def is_left_to_rest(item: pytest.Item) -> bool:
    """Return whether ``quick`` leaves this test to ``rest``."""
    room = item.path.relative_to(_TESTS).parts[0]
    if room in SLOW or item.get_closest_marker("long"):
        return True
    if room in ENGINES or item.get_closest_marker("shape_matters"):
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
