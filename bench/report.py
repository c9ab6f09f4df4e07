"""The table that `make bench` prints, and the same as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.figures import Row, Target

HEADINGS = ("what", "reached (spread)", "at least", "aim", "")
MARKS = {"aim": "aim reached", "floor": "floor reached", "short": "SHORT", None: ""}
ONE_OVER_BELOW = 0.5
"""Ratios under this read better as 1/N."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the figures were taken on; ratios travel between machines, the times behind them do not."""

    cores: int
    memory_gib: float
    kernel: str
    python: str
    fsync_ms: float
    generator: str

    @classmethod
    def here(cls, *, fsync_ms: float, generator: str) -> Machine:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
        return cls(os.cpu_count() or 1, memory, platform.release(), platform.python_version(), fsync_ms, generator)

    def as_text(self) -> str:
        return (
            f"{self.cores} cores, {self.memory_gib:.0f} GiB, Linux {self.kernel}, Python {self.python}; "
            f"one fsync {self.fsync_ms:.2f} ms; load by {self.generator}"
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that could not be measured."""

    case: str
    reason: str


def number(value: float, unit: str) -> str:
    """Three digits: a ratio as `3.21×` or `1/14.2`, anything else with its unit."""
    if unit != "ratio":
        return f"{_digits(value)} {unit}"
    return f"1/{_digits(1 / value)}" if 0 < value < ONE_OVER_BELOW else f"{_digits(value)}×"


def bound(value: float, target: Target, unit: str) -> str:
    return f"{'≤' if target.at_most else '≥'} {number(value, unit)}"


def as_table(rows: Sequence[Row], failures: Sequence[Failure], machine: Machine) -> str:
    """Markdown, padded so that it reads as plain text too."""
    lines = [HEADINGS, *(_cells(row) for row in rows)]
    lines += [(failure.case, "not measured", "", "", failure.reason.splitlines()[0]) for failure in failures]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    padded = [
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |" for line in lines
    ]
    padded.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    notes = [f"- {row.case}: {row.conditions}" for row in rows if row.conditions]
    return "\n".join([*padded, "", *dict.fromkeys(notes), f"- machine: {machine.as_text()}"])


def as_json(rows: Sequence[Row], failures: Sequence[Failure], machine: Machine) -> str:
    document: dict[str, Any] = {
        "machine": asdict(machine),
        "rows": [row.as_wire() for row in rows],
        "failures": [asdict(failure) for failure in failures],
    }
    return json.dumps(document, indent=2)


def _digits(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _cells(row: Row) -> tuple[str, ...]:
    unit = "ratio" if row.peer is not None else row.unit
    summary = row.summary
    spread = f"{number(summary.median, unit)} ({number(summary.low, unit)} to {number(summary.high, unit)})"
    floor = bound(row.target.floor, row.target, unit) if row.target else ""
    aim = bound(row.target.aim, row.target, unit) if row.target else ""
    return (row.what, spread, floor, aim, MARKS[row.verdict])
