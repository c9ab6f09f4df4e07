"""The decider of a slot: what it does for every event in every state."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.spawn.slots import (
    KILL_MARGIN_S,
    LONGEST_DELAY_S,
    START_TIMEOUT_S,
    YOUNG_S,
    Action,
    Attention,
    BecameReady,
    Connected,
    CouldNotStart,
    DeadlinePassed,
    Event,
    Exited,
    Left,
    Slot,
    StartAsked,
    State,
    StopAsked,
    attention,
    decide,
    delay_s,
)

GRACE_S = 5.0
EVENTS: list[Event] = [
    Connected(),
    StartAsked(),
    StopAsked(),
    BecameReady(),
    CouldNotStart("why"),
    Left("why"),
    Exited("why"),
    DeadlinePassed(),
]


def after(*events: Event, slot: Slot | None = None, at: float = 0.0) -> tuple[Slot, tuple[Action, ...]]:
    """The slot after these events, all at one moment, and the last one's actions."""
    found = slot or Slot()
    actions: tuple[Action, ...] = ()
    for event in events:
        found, actions = decide(found, event, at, grace_s=GRACE_S)
    return found, actions


@pytest.mark.parametrize("cause", [Connected(), StartAsked()])
def test_idle_slot_forks_when_somebody_needs_it(cause: Event) -> None:
    """A connection and a request to start mean the same; the start has a time limit."""
    slot, actions = after(cause, at=100.0)
    assert (slot.state, slot.deadline) == (State.STARTING, 100.0 + START_TIMEOUT_S)
    assert actions == (Action.FORK,)


def test_ready_slot_is_left_alone() -> None:
    """Nothing is due while a replica serves, and asking for it again forks nothing."""
    slot, actions = after(StartAsked(), BecameReady())
    assert (slot.state, slot.deadline, actions) == (State.READY, None, ())
    assert after(StartAsked(), slot=slot) == (slot, ())


def test_failed_start_waits_and_then_watches_again() -> None:
    """A slot that could not start refuses for a while, keeps its reason, and then takes the next connection."""
    slot, actions = after(StartAsked(), CouldNotStart("no module"))
    assert (slot.state, slot.reason, slot.restarts) == (State.FAILED, "no module", 1)
    assert actions == (Action.LET_GO,)
    assert attention(slot) is Attention.REFUSE
    assert slot.deadline == delay_s(2)
    slot, actions = after(DeadlinePassed(), slot=slot)
    assert (slot.state, actions) == (State.IDLE, ())
    assert slot.reason == "no module"


def test_delay_grows_with_each_failure_and_success_ends_it() -> None:
    """Each failed start in a row doubles the delay; a replica that becomes ready clears the reason."""
    slot = Slot()
    delays = []
    for _ in range(10):
        slot, _ = after(StartAsked(), Exited("gone"), slot=slot)
        assert slot.deadline is not None
        delays.append(slot.deadline)
    assert delays[:3] == [0.5, 1.0, 2.0] and delays[-1] == LONGEST_DELAY_S
    slot, _ = after(StartAsked(), BecameReady(), slot=slot)
    assert slot.reason is None


def test_asked_start_does_not_wait_for_the_delay() -> None:
    """A deployment asks explicitly: it is tried at once."""
    failed, _ = after(StartAsked(), CouldNotStart("no module"))
    assert after(StartAsked(), slot=failed)[1] == (Action.FORK,)


def test_start_that_takes_too_long_is_killed() -> None:
    """A hanging import ends in a reason, not in a wait without end."""
    slot, actions = after(StartAsked(), DeadlinePassed())
    assert slot.state is State.FAILED and "not ready within 60 s" in (slot.reason or "")
    assert actions == (Action.KILL, Action.LET_GO)


def test_first_death_costs_no_delay() -> None:
    """One accident: the next connection forks at once."""
    slot, _ = after(StartAsked(), BecameReady(), Exited("signal 9"))
    assert (slot.state, slot.restarts, slot.reason) == (State.IDLE, 1, "signal 9")


def test_deaths_of_the_young_in_a_row_do() -> None:
    """A replica that dies soon after each start is not forked for each connection."""
    slot, _ = after(StartAsked(), BecameReady(), Exited("x"), StartAsked(), BecameReady(), Exited("x"))
    assert (slot.state, slot.crashes) == (State.FAILED, 2)


def test_long_life_makes_up_for_earlier_deaths() -> None:
    """A death after a long time is one accident again."""
    slot, _ = after(StartAsked(), BecameReady(), slot=Slot(crashes=5))
    slot, _ = after(Exited("x"), slot=slot, at=YOUNG_S)
    assert (slot.state, slot.crashes) == (State.IDLE, 1)


@pytest.mark.parametrize("before", [(StartAsked(),), (StartAsked(), BecameReady())])
def test_stop_drains_and_then_watches(before: tuple[Event, ...]) -> None:
    """The process gets its grace, then is killed; its end, however it came, is no failure."""
    slot, actions = after(*before, StopAsked(), at=10.0)
    assert (slot.state, slot.deadline) == (State.DRAINING, 10.0 + GRACE_S + KILL_MARGIN_S)
    assert actions == (Action.TERMINATE,)
    assert attention(slot) is Attention.NONE
    late, actions = after(DeadlinePassed(), slot=slot)
    assert (late.state, actions) == (State.DRAINING, (Action.KILL,))
    for draining in (slot, late):
        ended, _ = after(Exited("signal 9"), slot=draining)
        assert (ended.state, ended.restarts, ended.reason) == (State.IDLE, 0, None)


def test_replica_that_leaves_makes_room_at_once() -> None:
    """Its old calls end elsewhere; the socket is watched from now on, without any delay."""
    slot, actions = after(StartAsked(), BecameReady(), Left("a call is past exec_timeout"))
    assert (slot.state, slot.restarts, actions) == (State.IDLE, 1, (Action.LET_GO,))
    assert attention(slot) is Attention.WATCH


@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.floats(0, 100)), max_size=40))
def test_whatever_happens_the_slot_stays_sound(story: list[tuple[Event, float]]) -> None:
    """There is never a second process, a start always ends, and a failed slot never stays so."""
    slot, now, processes = Slot(), 0.0, 0
    for event, pause in story:
        if isinstance(event, Exited | BecameReady | Left | CouldNotStart) and not processes:
            continue  # only a process says these
        now += pause
        slot, actions = decide(slot, event, now, grace_s=GRACE_S)
        processes += actions.count(Action.FORK) - actions.count(Action.LET_GO) - isinstance(event, Exited)
        assert processes in (0, 1)
        assert (processes == 1) is (slot.state in (State.STARTING, State.READY, State.DRAINING))
        if slot.state in (State.STARTING, State.FAILED):
            assert slot.deadline is not None
