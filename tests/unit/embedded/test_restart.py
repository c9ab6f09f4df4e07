"""When a service that died is started again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.embedded.restart import FIRST_DELAY_S, MOST_DELAY_S, QUIET_S, Restart, decide_restart


def test_the_first_death_costs_a_tenth_of_a_second() -> None:
    """A service that ran well and died once is back almost at once."""
    assert decide_restart(deaths_in_a_row=0, lived_s=5.0) == Restart(FIRST_DELAY_S, 1)


def test_the_pause_doubles_while_it_keeps_dying() -> None:
    """Each death soon after the last waits twice as long, up to the cap, and stays there."""
    deaths, delays = 0, []
    for _ in range(9):
        decision = decide_restart(deaths_in_a_row=deaths, lived_s=0.5)
        deaths = decision.deaths_in_a_row
        delays.append(round(decision.delay_s, 3))
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


def test_a_quiet_minute_clears_the_record() -> None:
    """Who lived a minute starts again as if it had never died; a moment less does not count."""
    assert decide_restart(deaths_in_a_row=7, lived_s=QUIET_S) == Restart(FIRST_DELAY_S, 1)
    assert decide_restart(deaths_in_a_row=7, lived_s=QUIET_S - 0.01) == Restart(MOST_DELAY_S, 8)


@given(deaths=st.integers(0, 10**9), lived_s=st.floats(0, 1e9))
def test_the_pause_has_bounds(deaths: int, lived_s: float) -> None:
    """Whatever happened before, the pause is never shorter than the first nor longer than the cap."""
    assert FIRST_DELAY_S <= decide_restart(deaths_in_a_row=deaths, lived_s=lived_s).delay_s <= MOST_DELAY_S
