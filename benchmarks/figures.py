"""What a measurement gives: figures of several rounds, each with its goal."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Goal:
    """A bound on the ratio to the peer, or on our own value."""

    of: Literal["ratio", "value"]
    bound: float
    above: bool = True  # False: the less the better

    def met(self, found: float) -> bool:
        return found >= self.bound if self.above else found < self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.above else '<'} {self.bound:g}"


@dataclass
class Figure:
    """One line of the results: a value for each round, for us and perhaps for a peer."""

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
        """Ours by the peer's, round by round: what else the machine does falls on both."""
        return [a / b for a, b in zip(self.ours, self.peer, strict=True)] if self.peer else []

    @property
    def judged(self) -> float:
        """The number that the goal is about: a median."""
        by_ratio = self.goal is not None and self.goal.of == "ratio"
        return statistics.median(self.ratios if by_ratio else self.ours)

    @property
    def met(self) -> bool | None:
        return self.goal.met(self.judged) if self.goal else None


def percentile(values: list[float], share: float) -> float:
    """Return the smallest value that ``share`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
