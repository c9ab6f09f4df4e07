"""How many calls of one function run at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.queue.window import HALVE_EVERY_S, Window, fair_share


def test_it_halves_once_per_burst_and_grows_back() -> None:
    """Thirty 429s of one moment count as one; successes bring it back by one a round."""
    window = Window(32)
    for _ in range(30):
        window.pushed_back(10.0)
    assert window.size == 16
    window.pushed_back(10.0 + HALVE_EVERY_S)
    assert window.size == 8
    for _ in range(9):
        window.succeeded()
    assert window.size == 9


@given(st.lists(st.booleans(), max_size=300), st.integers(1, 64))
def test_it_stays_between_one_and_its_limit(events: list[bool], most: int) -> None:
    """Whatever happens."""
    window = Window(most)
    for number, succeeded in enumerate(events):
        window.succeeded() if succeeded else window.pushed_back(float(number))
        assert 1 <= window.size <= most


def test_a_new_limit_is_taken_over() -> None:
    """An open window opens further; one that was pushed back grows into it."""
    window = Window(8)
    window.bound(16)
    assert window.size == 16
    window.pushed_back(0.0)
    window.bound(32)
    assert window.size == 8
    window.bound(4)
    assert window.size == 4


def test_a_busy_function_leaves_room_for_others() -> None:
    """The total is shared by those that have work; everybody has at least one."""
    assert fair_share(32, total=256, active=1) == 32
    assert fair_share(200, total=256, active=4) == 64
    assert fair_share(32, total=256, active=1000) == 1
    assert fair_share(32, total=256, active=0) == 32
