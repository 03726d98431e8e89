"""The result of a measurement: figures of several rounds, each with its goal."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Goal:
    """A bound on the ratio to the peer, or on the hub's own value."""

    of: Literal["ratio", "value"]
    bound: float
    above: bool = True  # False: the less the better

    def met(self, value: float) -> bool:
        return value >= self.bound if self.above else value < self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.above else '<'} {self.bound:g}"


@dataclass
class Figure:
    """One line of the results: a value per round, for the hub and optionally for a peer."""

    name: str
    unit: str
    goal: Goal | None = None
    peer_name: str = ""
    ours: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)
    cpu_unit: str = ""  # "µs/request", "s/GiB"
    our_cpu: list[float] = field(default_factory=list)
    peer_cpu: list[float] = field(default_factory=list)
    note: str = ""

    @property
    def ratios(self) -> list[float]:
        """The ratios of the hub to the peer per round: other load on the machine affects both."""
        return [a / b for a, b in zip(self.ours, self.peer, strict=True)] if self.peer else []

    @property
    def judged(self) -> float:
        """The median that the goal bounds."""
        by_ratio = self.goal is not None and self.goal.of == "ratio"
        return statistics.median(self.ratios if by_ratio else self.ours)

    @property
    def met(self) -> bool | None:
        return self.goal.met(self.judged) if self.goal else None


def percentile(values: list[float], share: float) -> float:
    """Return the smallest value that ``share`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
