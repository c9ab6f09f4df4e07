"""Doing once what may be asked twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier, Event
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contract.errors import Unavailable
from tidemill.lib.idempotency import (
    Hold,
    Idempotency,
    InProgress,
    LeaseLost,
    PayloadMismatch,
    Record,
    State,
    payload_hash,
)
from tidemill.lib.idempotency.memory import MemoryRecords
from tidemill.lib.idempotency.record import Step, decide_step

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class Clock:
    """Time that moves when the test says so."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Died(BaseException):
    """A process that ends at once runs no `except Exception`."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def records() -> MemoryRecords:
    return MemoryRecords()


@pytest.fixture
def guard(records: MemoryRecords, clock: Clock) -> Idempotency:
    return Idempotency(records, lease_s=10, keep_s=100, clock=clock)


def answers(*values: Any) -> Any:
    """Work that gives these answers, one a time."""
    left: Iterator[Any] = iter(values)
    return lambda hold: next(left)


def die(hold: Hold) -> None:
    raise Died


def test_the_second_time_the_first_answer_is_given(guard: Idempotency) -> None:
    """And nothing is done again."""
    work = answers({"n": 1}, {"n": 2})
    assert guard.run("k", "p", work) == {"n": 1}
    assert guard.run("k", "p", work) == {"n": 1}
    assert guard.run("other", "p", work) == {"n": 2}


def test_an_answer_is_kept_for_its_time(guard: Idempotency, clock: Clock) -> None:
    """Then the key is free, for another payload too."""
    work = answers(1, 2)
    guard.run("k", "p", work)
    clock.pass_s(99.999)
    assert guard.run("k", "p", work) == 1
    clock.pass_s(0.001)
    assert guard.run("k", "another", work) == 2


def test_another_payload_under_the_same_key_is_refused(guard: Idempotency) -> None:
    """It is a mistake of the caller, and answering with the first answer would hide it."""
    guard.run("k", {"amount": 1}, answers("paid"))
    with pytest.raises(PayloadMismatch, match="key k"):
        guard.run("k", {"amount": 2}, answers("never"))


def test_while_one_is_at_it_others_are_told_when_to_ask_again(guard: Idempotency, clock: Clock) -> None:
    """They neither wait nor do it themselves."""

    def work(hold: Hold) -> str:
        clock.pass_s(4)
        with pytest.raises(InProgress) as told:
            guard.run("k", "p", answers("never"))
        assert told.value.retry_after_s == pytest.approx(6)
        return "done"

    assert guard.run("k", "p", work) == "done"


def test_a_failure_gives_the_key_back(guard: Idempotency) -> None:
    """The next delivery may try at once."""

    def fail(hold: Hold) -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        guard.run("k", "p", fail)
    assert guard.run("k", "p", answers("done")) == "done"


def test_a_failure_passes_through_where_the_store_is_away() -> None:
    """The lease then ends by itself; the first error is the one to tell."""

    class Leaving(MemoryRecords):
        def remove(self, key: str, *, owner: str) -> bool:
            raise Unavailable()

    def fail(hold: Hold) -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        Idempotency(Leaving(), lease_s=1).run("k", "p", fail)


def test_a_dead_holder_is_replaced_when_its_lease_ends(guard: Idempotency, clock: Clock) -> None:
    """Not before: it may be alive and only slow."""
    with pytest.raises(Died):
        guard.run("k", "p", die)
    clock.pass_s(9.999)
    with pytest.raises(InProgress):
        guard.run("k", "p", answers("too early"))
    clock.pass_s(0.001)
    assert guard.run("k", "p", answers("taken over")) == "taken over"


def test_a_lease_that_ran_out_still_names_its_payload(guard: Idempotency, clock: Clock) -> None:
    """The work was begun, and may have had its effect."""
    with pytest.raises(Died):
        guard.run("k", "p", die)
    clock.pass_s(60)
    with pytest.raises(PayloadMismatch):
        guard.run("k", "another", answers("never"))


def test_a_holder_that_was_replaced_is_told(guard: Idempotency, clock: Clock) -> None:
    """Its answer is not stored; that of the one who took over stands."""

    def slow(hold: Hold) -> str:
        clock.pass_s(11)
        assert guard.run("k", "p", answers("theirs")) == "theirs"
        with pytest.raises(LeaseLost):
            hold.renew()
        return "mine"

    with pytest.raises(LeaseLost):
        guard.run("k", "p", slow)
    assert guard.run("k", "p", answers("never")) == "theirs"


def test_a_replaced_holder_that_fails_does_not_free_the_key(guard: Idempotency, clock: Clock) -> None:
    """Giving back is for owners only."""

    def slow(hold: Hold) -> None:
        clock.pass_s(11)
        guard.run("k", "p", answers("theirs"))
        raise RuntimeError("late")

    with pytest.raises(RuntimeError):
        guard.run("k", "p", slow)
    assert guard.run("k", "p", answers("never")) == "theirs"


def test_a_late_holder_that_nobody_replaced_completes(guard: Idempotency, clock: Clock) -> None:
    """An expired lease may be taken over, and must not be lost for nothing."""

    def slow(hold: Hold) -> str:
        clock.pass_s(11)
        return "late"

    assert guard.run("k", "p", slow) == "late"
    assert guard.run("k", "p", answers("never")) == "late"


def test_renewing_keeps_others_away(guard: Idempotency, clock: Clock) -> None:
    """Work of several steps holds on for as long as it goes on."""

    def work(hold: Hold) -> str:
        for _ in range(3):
            clock.pass_s(9)
            hold.renew()
        with pytest.raises(InProgress):
            guard.run("k", "p", answers("never"))
        return "done"

    assert guard.run("k", "p", work) == "done"


def test_of_many_at_once_one_does_the_work(records: MemoryRecords) -> None:
    """Racing deliveries: one effect, and each of the others is told to come back."""
    guard = Idempotency(records, lease_s=60)
    together, others_answered = Barrier(8), Event()
    effects: list[str] = []

    def work(hold: Hold) -> str:
        effects.append(hold.owner)
        assert others_answered.wait(30)
        return "done"

    told: list[int] = []

    def deliver(number: int) -> str:
        together.wait(30)
        try:
            return str(guard.run("k", "p", work))
        except InProgress:
            told.append(number)
            if len(told) == 7:
                others_answered.set()
            return "told"

    with ThreadPoolExecutor(8) as pool:
        ended = list(pool.map(deliver, range(8)))
    assert len(effects) == 1
    assert sorted(ended) == ["done", *["told"] * 7]


def test_who_loses_every_race_is_told_to_come_back() -> None:
    """Nobody spins for ever."""

    class Contested(MemoryRecords):
        def insert(self, record: Record) -> bool:
            return False

    with pytest.raises(InProgress):
        Idempotency(Contested(), lease_s=1).run("k", "p", answers("never"))


def test_a_takeover_that_is_lost_is_looked_at_again(clock: Clock) -> None:
    """Between seeing a stale record and replacing it somebody else was quicker."""
    records = MemoryRecords()
    guard = Idempotency(records, lease_s=10, keep_s=100, clock=clock)
    with pytest.raises(Died):
        guard.run("k", "p", die)
    clock.pass_s(11)

    class Beaten(MemoryRecords):
        def get(self, key: str) -> Record | None:
            seen = records.get(key)
            if seen and seen.stored is State.INPROGRESS:
                guard.run("k", "p", answers("theirs"))
            return seen

        def replace(self, record: Record, *, owner: str) -> bool:
            return records.replace(record, owner=owner)

    late = Idempotency(Beaten(), lease_s=10, clock=clock)
    assert late.run("k", "p", answers("never")) == "theirs"


@given(st.lists(st.sampled_from(["run", "die", "fail", "pass 4", "pass 11"]), max_size=20))
def test_whatever_happens_the_first_answer_stands(story: list[str]) -> None:
    """After any mix of deaths, failures and waiting: once it is answered, it is never done again."""
    clock, effects = Clock(), []
    guard = Idempotency(MemoryRecords(), lease_s=10, keep_s=10_000, clock=clock)

    def work(hold: Hold) -> int:
        effects.append(1)
        return len(effects)

    def fail(hold: Hold) -> int:
        raise RuntimeError

    for event in story:
        if event.startswith("pass"):
            clock.pass_s(int(event.split()[1]))
            continue
        try:
            answer = guard.run("k", "p", {"run": work, "die": die, "fail": fail}[event])
        except (RuntimeError, Died, InProgress):
            continue
        assert answer == 1
    assert len(effects) <= 1


@given(json_values)
def test_equal_payloads_have_equal_hashes(value: Any) -> None:
    """The order of keys is no difference."""
    assert payload_hash({"a": value, "b": 1}) == payload_hash({"b": 1, "a": value})
    assert payload_hash([value]) != payload_hash([value, value])


@given(st.sampled_from([State.INPROGRESS, State.COMPLETED]), st.booleans(), st.floats(-100, 100).filter(bool))
def test_every_record_leads_to_one_step(stored: State, same: bool, left_s: float) -> None:
    """The whole table of decisions."""
    record = Record("k", "h", "o", stored, START + timedelta(seconds=left_s))
    step = decide_step(record, payload_hash="h" if same else "x", now=START)
    expired = record.until <= START
    assert record.state(START) is (State.EXPIRED if expired else stored)
    if stored is State.COMPLETED and expired:
        assert step is Step.TAKE_OVER
    elif not same:
        assert step is Step.REFUSE
    elif expired:
        assert step is Step.TAKE_OVER
    else:
        assert step is (Step.REPEAT_ANSWER if stored is State.COMPLETED else Step.WAIT)


def test_records_that_make_no_sense_are_refused() -> None:
    """A naive time would be compared wrongly, and EXPIRED is never stored."""
    with pytest.raises(ValueError, match="aware"):
        Record("k", "h", "o", State.COMPLETED, datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="EXPIRED"):
        Record("k", "h", "o", State.EXPIRED, START)
