"""Which thread of a replica may take another call."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.support.waiting import wait_until
from tidemill.lib.correlation import Call
from tidemill.runtime.calls import AWAKE_S, LATE_AT_MOST, PATIENCE_S, AtLimit, Calls
from tidemill.runtime.granian_adapter import THREAD_IDLE_S


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def calls(clock: Clock) -> Iterator[Calls]:
    found = Calls(threads=1, clock=clock)
    yield found
    found.wake_all()


class Resting(threading.Thread):
    """A thread that has finished a call and rests where it should. It lives on: threads are told apart by ids that
    the system uses again."""

    def __init__(self, calls: Calls) -> None:
        super().__init__(daemon=True)
        self.back = threading.Event()
        self._calls = calls
        self.start()

    def run(self) -> None:
        self._calls.rest()
        self.back.set()
        threading.Event().wait()


def returns(thread: Resting) -> bool:
    return thread.back.wait(20)


def parks(calls: Calls, thread: Resting, *, already: int = 0) -> bool:
    parked = wait_until(lambda: len(calls._parked) == already + 1, "the thread parks")
    return bool(parked) and not thread.back.is_set()


def test_lone_thread_goes_back_for_more(calls: Calls) -> None:
    """Nobody else is at a call: whoever comes next needs this thread."""
    assert returns(Resting(calls))


def test_second_thread_parks_while_one_is_at_a_quick_call(calls: Calls) -> None:
    """One thread serves quick calls alone."""
    calls.begin(Call())
    assert parks(calls, Resting(calls))


def test_long_call_gives_its_place_to_a_parked_thread(calls: Calls, clock: Clock) -> None:
    """Once for each long call, and not for a quick one."""
    calls.begin(Call())
    thread = Resting(calls)
    assert parks(calls, thread)
    assert calls.tick(30) == []
    assert not thread.back.is_set()
    clock.now = 2 * PATIENCE_S
    calls.tick(30)
    assert returns(thread)
    calls.begin(Call())
    assert parks(calls, Resting(calls)), "the place is taken again"


def test_thread_of_a_long_call_parks_where_its_place_is_taken(calls: Calls, clock: Clock) -> None:
    """The number of threads at quick calls stays what it was."""
    long = calls.begin(Call())
    clock.now = 2 * PATIENCE_S
    calls.tick(30)
    calls.begin(Call())
    calls.end(long)
    assert parks(calls, Resting(calls))


def test_several_threads_may_be_asked_for() -> None:
    """`threads` at quick calls go back for more."""
    calls = Calls(threads=2)
    calls.begin(Call())
    assert returns(Resting(calls))
    calls.begin(Call())
    assert parks(calls, Resting(calls))
    calls.wake_all()


def test_thread_between_two_calls_is_awake(calls: Calls) -> None:
    """It is about to take the next call: a second thread beside it would only fight it for the interpreter."""
    calls.end(calls.begin(Call()))
    calls.rest()
    assert parks(calls, Resting(calls))


def test_thread_that_was_not_heard_of_for_long_does_not_count(calls: Calls, clock: Clock) -> None:
    """It may have ended, and the last thread must not park."""
    assert returns(Resting(calls))
    clock.now = AWAKE_S + 1
    assert returns(Resting(calls))


def test_thread_counts_less_long_than_an_idle_one_lives() -> None:
    """Else a thread could park because of one that is gone."""
    assert AWAKE_S < THREAD_IDLE_S


def test_nobody_parks_at_the_end(calls: Calls) -> None:
    """A process that ends needs its threads back."""
    calls.begin(Call())
    thread = Resting(calls)
    assert parks(calls, thread)
    calls.wake_all()
    assert returns(thread) and returns(Resting(calls))


def test_declared_limit_is_kept() -> None:
    """Never more than max_inflight; the pool has spare threads for refusals and health checks."""
    calls = Calls(threads=2, max_inflight=2)
    first, _ = calls.begin(Call()), calls.begin(Call())
    assert calls.full and calls.pool_size > 2
    with pytest.raises(AtLimit, match="limit of 2 calls at once"):
        calls.begin(Call())
    calls.end(first)
    assert returns(Resting(calls))
    calls.begin(Call())


def test_overdue_call_is_told_once(calls: Calls, clock: Clock) -> None:
    """Past exec_timeout, with the call it is about; waiting for the others does not wait for it."""
    stuck = calls.begin(Call(call_id="c-1"))
    clock.now = 31
    other = calls.begin(Call())
    assert [running.call.call_id for running in calls.tick(30)] == ["c-1"]
    assert calls.tick(30) == []
    assert not calls.wait_until_none_but_overdue(0)
    calls.end(other)
    assert calls.wait_until_none_but_overdue(0)
    calls.end(stuck)
    assert len(calls) == 0


def test_watch_sleeps_while_idle_and_wakes_for_a_call() -> None:
    """An idle replica wakes nobody; the first call after that is still watched."""
    calls = Calls()
    overdue = threading.Event()
    threading.Thread(target=calls.watch, args=(0.0, lambda running: overdue.set()), daemon=True).start()
    wait_until(lambda: calls._watch_sleeps, "the watch sleeps")
    running = calls.begin(Call())
    assert overdue.wait(20)
    calls.end(running)


def test_calls_that_nobody_waits_for_are_bounded(calls: Calls) -> None:
    """A caller who gives up at once and comes back again fills no replica with threads; the end of one makes room."""
    left = [calls.begin(Call()) for _ in range(calls.pool_size + LATE_AT_MOST)]
    with pytest.raises(AtLimit, match="whose callers no longer wait"):
        calls.begin(Call())
    calls.end(left[0])
    calls.begin(Call())
