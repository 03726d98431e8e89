"""The number of examples in a run: a seeded few in ``make test``, many in ``make fuzz``."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

#: Examples of one property in the long run; 0 in the short one.
MANY = int(os.environ.get("HUBSTEAD_TEST_EXAMPLES", "0"))


def examples(few: int, share: float = 1.0) -> settings:
    """Return settings for ``few`` examples, the same each time, or for a share of many new ones.

    A failure over the network is not shrunk for long: the request in its report suffices.
    """
    count = max(few, int(MANY * share))
    return settings(
        max_examples=count,
        derandomize=not MANY,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if MANY else [])],
        suppress_health_check=list(HealthCheck),
    )
