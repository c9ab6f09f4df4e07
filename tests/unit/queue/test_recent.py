"""A call that ended is not started again because the broker forgot that it had handed it out."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from tidemill.broker.memory import MemoryBroker
from tidemill.contract.calls import CallRecord, State
from tidemill.contract.names import FunctionRef
from tidemill.queue.codec import record_message
from tidemill.queue.recent import RecentlyEnded


def record(sequence: int, state: State) -> CallRecord:
    return CallRecord(f"c-{sequence}", FunctionRef("fn"), state, datetime.now(UTC), sequence)


async def test_ended_calls_are_known_and_others_are_not() -> None:
    """Read once for many questions at the same time."""
    broker = MemoryBroker()
    states: dict[int, State] = {1: "succeeded", 2: "retrying", 3: "dead", 4: "cancelled"}
    for sequence, state in states.items():
        await broker.publish(record_message(record(sequence, state)))
    recent = RecentlyEnded(broker)
    known = await asyncio.gather(*(recent.has(sequence) for sequence in range(1, 6)))
    assert known == [True, False, True, True, False]


class Reconnecting(MemoryBroker):
    made = 1

    @property
    def connections(self) -> int:
        return self.made


async def test_a_new_connection_is_looked_at_anew() -> None:
    """What ended meanwhile is known then."""
    broker = Reconnecting()
    recent = RecentlyEnded(broker)
    assert not await recent.has(7)
    await broker.publish(record_message(record(7, "succeeded")))
    assert not await recent.has(7)
    broker.made = 2
    assert await recent.has(7)
