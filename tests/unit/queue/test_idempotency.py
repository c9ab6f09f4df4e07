"""One key, one call."""

from __future__ import annotations

import asyncio

import pytest

from tidemill.broker.base import Exists, Message
from tidemill.broker.memory import MemoryBroker
from tidemill.contract.errors import BadRequest, Unavailable, Unprocessable
from tidemill.contract.names import FunctionRef, calls_subject, queue_subject
from tidemill.queue.idempotency import Idempotency, Reservation, fingerprint, record_key

FN = FunctionRef("fn")


class Queue:
    """Publishes as the door does, and counts."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker
        self.published: list[str] = []
        self.failing = False

    async def publish(self, call_id: str) -> None:
        if self.failing:
            raise Unavailable
        await self.broker.publish(Message(queue_subject(FN, call_id)), only_if_absent=True)
        self.published.append(call_id)


def wanted(call_id: str, body: str = "body") -> Reservation:
    return Reservation(call_id, "1", fingerprint("/", "", body))


async def test_concurrent_repeats_are_one_call() -> None:
    """Of two doors, even: one publishes, all hear the first id."""
    broker = MemoryBroker()
    doors, queue = [Idempotency(broker), Idempotency(broker)], Queue(broker)
    held = await asyncio.gather(
        *(doors[number % 2].once(FN, "k", wanted(f"call-{number}"), queue.publish) for number in range(20))
    )
    assert len(queue.published) == 1
    assert {each.call_id for each in held} == set(queue.published)


async def test_another_request_under_the_same_key_is_refused() -> None:
    """Body, path and query count; another function's key is its own."""
    broker = MemoryBroker()
    idempotency, queue = Idempotency(broker), Queue(broker)
    await idempotency.once(FN, "k", wanted("a"), queue.publish)
    with pytest.raises(Unprocessable):
        await idempotency.once(FN, "k", wanted("b", "other"), queue.publish)
    await idempotency.once(FunctionRef("other"), "k", wanted("c", "other"), queue.publish)
    assert fingerprint("/a", "", "x") != fingerprint("/", "a", "x")


async def test_a_door_that_died_before_publishing_is_made_up_for() -> None:
    """The repeat publishes, under the first id."""
    broker = MemoryBroker()
    queue = Queue(broker)
    queue.failing = True
    with pytest.raises(Unavailable):
        await Idempotency(broker).once(FN, "k", wanted("first"), queue.publish)
    queue.failing = False
    held = await Idempotency(broker).once(FN, "k", wanted("second"), queue.publish)
    assert held.call_id == "first"
    assert queue.published == ["first"]


@pytest.mark.parametrize("trace", ["queue", "record"])
async def test_a_door_that_died_after_publishing_is_not_repeated(trace: str) -> None:
    """Neither while the message waits nor after the call has ended; not even with the same call id."""
    broker = MemoryBroker()
    queue = Queue(broker)
    queue.failing = True
    with pytest.raises(Unavailable):
        await Idempotency(broker).once(FN, "k", wanted("first"), queue.publish)
    await broker.publish(Message(queue_subject(FN, "first") if trace == "queue" else calls_subject("first")))
    queue.failing = False
    assert (await Idempotency(broker).once(FN, "k", wanted("first"), queue.publish)).call_id == "first"
    assert queue.published == []


async def test_another_door_that_was_quicker_is_no_error() -> None:
    """It stored the message between our look and our publish."""
    broker = MemoryBroker()

    async def refused(call_id: str) -> None:
        raise Exists

    held = await Idempotency(broker).once(FN, "k", wanted("a"), refused)
    assert held.call_id == "a"


def test_keys_are_bounded() -> None:
    """Empty and endless ones are refused."""
    for key in ("", "x" * 256):
        with pytest.raises(BadRequest):
            record_key(FN, key)
    assert record_key(FN, "a") != record_key(FunctionRef("fn", "other"), "a")
