"""What a row of the table says, from what the rounds measured. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Summary:
    """Median, and how far the rounds lay apart."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, samples: Sequence[float]) -> Summary:
        if not samples:
            raise ValueError("no round was measured")
        return cls(statistics.median(samples), min(samples), max(samples), len(samples))


@dataclass(frozen=True, slots=True)
class Target:
    """What a row has to reach: `floor` at least, `aim` at best."""

    floor: float
    aim: float
    at_most: bool
    """True: smaller is better (times, memory); False: larger is better (rates)."""

    def verdict(self, median: float) -> str:
        """`aim`, `floor` or `short`."""
        for name, bound in (("aim", self.aim), ("floor", self.floor)):
            if (median <= bound) if self.at_most else (median >= bound):
                return name
        return "short"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: our samples, the peer's of the same rounds where there is a peer."""

    case: str
    what: str
    unit: str
    target: Target | None
    """None: printed for information."""
    ours: tuple[float, ...]
    peer: tuple[float, ...] | None = None
    conditions: str = ""
    """Peer, load and, where something is stored, the durability class of both sides."""

    @property
    def samples(self) -> tuple[float, ...]:
        """What is judged: ours / peer of each round, or ours where there is no peer."""
        return ratios(self.ours, self.peer) if self.peer is not None else self.ours

    @property
    def summary(self) -> Summary:
        return Summary.of(self.samples)

    @property
    def verdict(self) -> str | None:
        return self.target.verdict(self.summary.median) if self.target else None

    def as_wire(self) -> dict[str, Any]:
        summary = self.summary
        return {
            "case": self.case,
            "what": self.what,
            "unit": "ratio" if self.peer is not None else self.unit,
            "median": summary.median,
            "low": summary.low,
            "high": summary.high,
            "rounds": summary.rounds,
            "floor": self.target.floor if self.target else None,
            "aim": self.target.aim if self.target else None,
            "verdict": self.verdict,
            "conditions": self.conditions,
            "samples": {"unit": self.unit, "ours": list(self.ours), "peer": list(self.peer) if self.peer else None},
        }


def ratios(ours: Sequence[float], peer: Sequence[float]) -> tuple[float, ...]:
    """ours / peer, round by round: what drifts on the machine hits both of a round. Raises ValueError."""
    if len(ours) != len(peer):
        raise ValueError(f"{len(ours)} rounds of ours against {len(peer)} of the peer")
    if any(value <= 0 for value in peer):
        raise ValueError("a round of the peer measured nothing")
    return tuple(mine / theirs for mine, theirs in zip(ours, peer, strict=True))


def round_order(sides: Sequence[str], round_number: int) -> tuple[str, ...]:
    """Each side goes first equally often, so that none profits from what the one before left in the caches."""
    shift = round_number % len(sides)
    return (*sides[shift:], *sides[:shift])
