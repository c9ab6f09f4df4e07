"""When a service that died is started again: soon at first, ever later while it keeps dying. Pure."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_DELAY_S = 0.1
MOST_DELAY_S = 10.0
QUIET_S = 60.0
"""Who lived this long starts again with a clean record."""


@dataclass(frozen=True, slots=True)
class Restart:
    """What to do about a death."""

    delay_s: float
    deaths_in_a_row: int


def decide_restart(*, deaths_in_a_row: int, lived_s: float) -> Restart:
    """`deaths_in_a_row`: how often it had died before without a quiet minute in between."""
    before = 0 if lived_s >= QUIET_S else deaths_in_a_row
    doublings = min(before, 32)  # far beyond the cap; keeps the power small
    return Restart(min(MOST_DELAY_S, FIRST_DELAY_S * 2**doublings), before + 1)
