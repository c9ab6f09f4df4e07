"""How often and how long each function was called, counted from the access log. Pure state that can be kept and read
back, so that the numbers survive a restart of whoever counts."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the histogram: the usual ones, and two below them, since a warm call takes under a millisecond."""


@dataclass(slots=True)
class Durations:
    """One histogram: calls per bucket (the last: longer than every bound) and the sum of seconds."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    sum_s: float = 0.0

    @property
    def calls(self) -> int:
        return sum(self.buckets)

    def add(self, seconds: float) -> None:
        self.buckets[bisect_left(BUCKETS_S, seconds)] += 1
        self.sum_s += seconds


@dataclass(slots=True)
class Counts:
    """Per function and status."""

    calls: dict[tuple[str, int], Durations] = field(default_factory=dict)
    dropped: int = 0
    """Log lines that HAProxy had no room for: calls that are missing here."""
    bad: int = 0
    """Lines that nobody could read."""

    def add(self, function: str, status: int, seconds: float) -> None:
        key = function, status
        if key not in self.calls:
            self.calls[key] = Durations()
        self.calls[key].add(seconds)

    def by_function(self) -> dict[str, int]:
        totals: dict[str, int] = {}
        for (function, _), durations in self.calls.items():
            totals[function] = totals.get(function, 0) + durations.calls
        return totals

    def as_wire(self) -> dict[str, Any]:
        calls = [[function, status, d.buckets, d.sum_s] for (function, status), d in self.calls.items()]
        return {"bounds": list(BUCKETS_S), "calls": calls, "dropped": self.dropped, "bad": self.bad}

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Counts:
        """Raises ValueError where the bounds of then are not those of now."""
        if tuple(wire["bounds"]) != BUCKETS_S:
            raise ValueError("the counts were kept with other histogram bounds")
        calls = {
            (str(function), int(status)): Durations(list(buckets), float(sum_s))
            for function, status, buckets, sum_s in wire["calls"]
        }
        return cls(calls, wire["dropped"], wire["bad"])
