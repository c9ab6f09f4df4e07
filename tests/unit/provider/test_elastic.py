"""How many slots a function gets."""

from __future__ import annotations

import pytest

from tidemill.contract.traffic import Load
from tidemill.provider.elastic import QUIET_S, Bounds, Watch, decide_slots, is_busy

BOUNDS = Bounds(threads=1, rest=1, most=4)


def run(loads: list[tuple[float, Load]], *, slots: int = 1, bounds: Bounds = BOUNDS) -> list[int | None]:
    """Look after look; each answer is followed."""
    watch, answers = Watch(since=0.0), []
    for now, load in loads:
        watch, wanted = decide_slots(watch, load, slots=slots, bounds=bounds, now=now)
        answers.append(wanted)
        slots = slots if wanted is None else max(1, wanted)
    return answers


def test_one_look_is_not_enough() -> None:
    """A call that ends before the next look forks nothing."""
    assert run([(0.0, Load(1, 0, 1)), (0.2, Load(0, 0, 1))]) == [None, None]


def test_a_replica_that_stays_busy_gets_company() -> None:
    """One endless stream must not block the next caller: a slot is there before it comes."""
    assert run([(0.0, Load(1, 0, 1)), (0.2, Load(1, 0, 1)), (0.4, Load(1, 0, 1)), (0.6, Load(1, 0, 1))]) == [
        None,
        2,
        None,
        None,
    ]


def test_a_queue_grows_by_at_most_twice_a_step_up_to_the_maximum() -> None:
    """And stays there."""
    loads = [(0.2 * look, Load(4, 30, 100)) for look in range(8)]
    assert run(loads) == [None, 2, None, 4, None, None, None, None]


def test_threads_count_as_capacity() -> None:
    """Eight threads have room for four calls."""
    loads = [(0.2 * look, Load(4, 0, 100)) for look in range(4)]
    assert run(loads, bounds=Bounds(threads=8, rest=1, most=4)) == [None] * 4


def test_slots_go_after_a_quiet_while_only() -> None:
    """Back to what is wanted at rest."""
    quiet = [(float(second), Load(0, 0, 0)) for second in range(int(QUIET_S) + 1)]
    assert run(quiet, slots=4) == [None] * int(QUIET_S) + [1]


def test_steady_traffic_keeps_what_it_needs_and_one_more() -> None:
    """It neither breathes nor keeps what a burst needed."""
    loads = [(0.5 * look, Load(1, 0, look)) for look in range(200)]
    answers = [wanted for wanted in run(loads, slots=4) if wanted is not None]
    assert answers == [2]


def test_short_calls_between_two_looks_are_traffic() -> None:
    """Only the edge's total shows them."""
    loads = [(float(look), Load(0, 0, look)) for look in range(70)]
    assert 0 not in run(loads, bounds=Bounds(threads=1, rest=0, most=4))


def test_none_at_rest_stops_the_last_replica_once() -> None:
    """And again only after it was called."""
    bounds = Bounds(threads=1, rest=0, most=4)
    quiet = [(float(second), Load(0, 0, 5)) for second in range(200)]
    called = [(200.0 + second, Load(0, 0, 6)) for second in range(100)]
    assert [wanted for wanted in run(quiet, bounds=bounds) if wanted is not None] == [0]
    assert [wanted for wanted in run(quiet + called, bounds=bounds) if wanted is not None] == [0, 0]


def test_a_scale_above_the_maximum_is_left_alone() -> None:
    """What was asked for explicitly is rest."""
    loads = [(float(second), Load(0, 0, 0)) for second in range(100)]
    assert run(loads, slots=6, bounds=Bounds(threads=1, rest=6, most=6)) == [None] * 100


@pytest.mark.parametrize(
    ("load", "busy"), [(Load(0, 0, 0), False), (Load(1, 0, 0), True), (Load(0, 1, 0), True), (Load(0, 0, 1), True)]
)
def test_busy(load: Load, busy: bool) -> None:
    """Worth looking again soon."""
    assert is_busy(Watch(since=0.0), load) is busy


def test_a_crowd_that_passes_quickly_gets_no_more_replicas_than_cores() -> None:
    """Thousands of short calls a second: further processes would only take turns on the same cores."""
    bounds = Bounds(threads=1, rest=1, most=4, cores=2)
    quick = [(0.2 * look, Load(8, 8, 1600 * look)) for look in range(10)]
    assert [wanted for wanted in run(quick, bounds=bounds) if wanted is not None] == [2]


def test_a_crowd_that_waits_gets_all_that_is_allowed() -> None:
    """The same crowd, when few calls end: they wait for something else than a core."""
    bounds = Bounds(threads=1, rest=1, most=4, cores=2)
    slow = [(0.2 * look, Load(8, 8, 10 * look)) for look in range(10)]
    assert [wanted for wanted in run(slow, bounds=bounds) if wanted is not None] == [2, 4]
