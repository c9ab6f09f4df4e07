"""The time, as it can be stored."""

from __future__ import annotations

from datetime import UTC

from tidemill.lib.clock import utc_now


def test_the_clock_ticks_in_milliseconds() -> None:
    """And is aware of its zone."""
    assert utc_now().microsecond % 1000 == 0
    assert utc_now().tzinfo is UTC
