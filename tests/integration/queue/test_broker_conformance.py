"""One suite for every broker: in memory, and a real nats-server with the permissions our services have."""

from __future__ import annotations

import asyncio
import io
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.queue.servers import connected, eventually, nats_server
from tidemill.broker.base import BATCH_MOST, MESSAGE_ID, Broker, Delivery, Exists, Message, Rejected
from tidemill.broker.memory import MemoryBroker
from tidemill.contract.errors import TidemillError


class Users:
    """The door publishes and looks, the worker takes."""

    def __init__(self, door: Broker, worker: Broker) -> None:
        self.door, self.worker = door, worker


@pytest.fixture(params=["memory", "jetstream"])
async def users(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Users]:
    if request.param == "memory":
        broker = MemoryBroker()
        yield Users(broker, broker)
        return
    with nats_server(folder) as server:
        async with connected(server, "door") as door, connected(server, "worker") as worker:
            yield Users(door, worker)


def message(name: str, data: bytes = b"x", **headers: str) -> Message:
    return Message(f"tm.queue.ns.fn.{name}", data, {key.replace("_", "-"): value for key, value in headers.items()})


class Taken:
    """Collects deliveries of the consumer `fn`."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []

    def receive(self, delivery: Delivery | None) -> None:
        if delivery is not None:
            self.deliveries.append(delivery)

    async def until(self, count: int) -> list[Delivery]:
        async def enough() -> bool:
            return len(self.deliveries) >= count

        await eventually(enough, within_s=10)
        return self.deliveries


async def take(users: Users, *, lease_s: float = 30.0) -> tuple[Taken, object]:
    taken = Taken()
    await users.worker.ensure_consumer("TM_QUEUE", "ns_fn", "tm.queue.ns.fn.*", lease_s=lease_s)
    intake = await users.worker.intake("TM_QUEUE", "ns_fn", taken.receive)
    intake.ask(100)
    return taken, intake


async def test_what_was_published_can_be_read_back(users: Users) -> None:
    """Data, headers, sequence; by exact subject and with a wildcard; None for another."""
    sequence = await users.door.publish(message("a", b"data", Tm_Call="é {}"))
    for subject in ("tm.queue.ns.fn.a", "tm.queue.*.*.a"):
        stored = await users.door.last("TM_QUEUE", subject)
        assert stored is not None
        assert (stored.data, stored.sequence, stored.headers["Tm-Call"]) == (b"data", sequence, "é {}")
        assert stored.stored_at.tzinfo is not None
    assert await users.door.last("TM_QUEUE", "tm.queue.ns.fn.b") is None


async def test_only_if_absent_refuses_a_second_message_of_the_subject(users: Users) -> None:
    """And takes it again once the first is gone."""
    sequence = await users.door.publish(message("a"), only_if_absent=True)
    with pytest.raises(Exists):
        await users.door.publish(message("a"), only_if_absent=True)
    assert await users.door.delete("TM_QUEUE", sequence)
    assert not await users.door.delete("TM_QUEUE", sequence)
    await users.door.publish(message("a"), only_if_absent=True)


async def test_a_batch_is_stored_whole(users: Users) -> None:
    """Also one of the largest allowed."""
    await users.door.publish_batch([message(str(number)) for number in range(BATCH_MOST)])
    assert await users.door.count("TM_QUEUE") == BATCH_MOST
    assert len(await users.worker.subjects("TM_QUEUE")) == BATCH_MOST


async def test_a_batch_with_a_duplicate_stores_nothing(users: Users) -> None:
    """One message whose id is known rejects all of it."""
    await users.door.publish(message("a", Nats_Msg_Id="id-1"))
    with pytest.raises(Rejected):
        await users.door.publish_batch([message("b"), message("c", Nats_Msg_Id="id-1"), message("d")])
    assert await users.door.count("TM_QUEUE") == 1


async def test_a_repeated_message_id_is_stored_once(users: Users) -> None:
    """The shield for a publish that is sent again."""
    for _ in range(2):
        await users.door.publish(Message("tm.queue.ns.fn.a", b"x", {MESSAGE_ID: "id-2"}))
    assert await users.door.count("TM_QUEUE") == 1


async def test_a_message_above_the_limit_is_refused(users: Users) -> None:
    """Not stored, and the connection lives on."""
    with pytest.raises(TidemillError):
        await users.door.publish(message("a", b"x" * (1024 * 1024 + 1)))
    await users.door.publish(message("b"))


async def test_an_acknowledged_delivery_leaves_the_queue(users: Users) -> None:
    """And one that was not acknowledged comes again after its lease, with a higher number."""
    await users.door.publish_batch([message("a"), message("b")])
    taken, _ = await take(users, lease_s=1.0)
    first, second = (await taken.until(2))[:2]
    assert (first.number, second.number) == (1, 1)
    users.worker.ack(first)
    again = (await taken.until(3))[2]
    assert (again.sequence, again.number, again.data) == (second.sequence, 2, second.data)
    users.worker.ack(again)

    async def empty() -> bool:
        return await users.door.count("TM_QUEUE") == 0

    await eventually(empty)


async def test_a_lease_can_be_extended(users: Users) -> None:
    """As long as it is extended, nobody else gets the message."""
    await users.door.publish(message("a"))
    taken, _ = await take(users, lease_s=0.6)
    delivery = (await taken.until(1))[0]
    for _ in range(5):
        users.worker.extend(delivery)
        await asyncio.sleep(0.3)
    assert len(taken.deliveries) == 1
    await taken.until(2)


async def test_retry_comes_after_the_delay(users: Users) -> None:
    """Not before, and numbered on."""
    await users.door.publish(message("a"))
    taken, _ = await take(users)
    loop = asyncio.get_running_loop()
    delivery = (await taken.until(1))[0]
    asked_at = loop.time()
    users.worker.retry(delivery, 0.4)
    again = (await taken.until(2))[1]
    assert again.number == 2
    assert loop.time() - asked_at >= 0.39


async def test_no_more_is_delivered_than_was_asked_for(users: Users) -> None:
    """The rest comes when asked again."""
    await users.door.publish_batch([message(str(number)) for number in range(5)])
    taken = Taken()
    await users.worker.ensure_consumer("TM_QUEUE", "ns_fn", "tm.queue.ns.fn.*", lease_s=30)
    intake = await users.worker.intake("TM_QUEUE", "ns_fn", taken.receive)
    intake.ask(2)
    await taken.until(2)
    assert intake.asked == 0
    backlog = (await users.worker.consumers("TM_QUEUE"))["ns_fn"]
    assert (backlog.waiting, backlog.in_hand) == (3, 2)
    intake.ask(10)
    await taken.until(5)
    assert intake.asked == 7
    await intake.close()
    await users.worker.delete_consumer("TM_QUEUE", "ns_fn")
    assert await users.worker.consumers("TM_QUEUE") == {}


async def test_newest_first_and_purge_by_subject(users: Users) -> None:
    """Listing honours the subject, how far to look back and what to keep; purge says how many went."""
    for number in range(600):
        await users.worker.publish(Message(f"tm.dead.ns.{'odd' if number % 2 else 'even'}.{number}", b"x"))
    found = await users.door.newest("TM_DEAD", "tm.dead.ns.odd.*", scan=1000)
    assert [int(each.subject.rpartition(".")[2]) for each in found] == list(range(599, 0, -2))
    assert len(await users.door.newest("TM_DEAD", "tm.dead.*.*.*", scan=10)) == 10
    assert [each.data for each in found[:2]] == [b"x", b"x"]
    kept = await users.door.newest("TM_DEAD", "tm.dead.ns.odd.*", scan=4, keep=lambda data: data + b"!")
    assert [each.data for each in kept] == [b"x!", b"x!"]
    assert await users.door.purge("TM_DEAD", "tm.dead.ns.odd.*") == 300
    assert await users.door.newest("TM_DEAD", "tm.dead.ns.odd.*", scan=1000) == []


async def test_the_last_record_of_a_call_replaces_the_one_before(users: Users) -> None:
    """TM_CALLS keeps one message per call."""
    for text in (b"1", b"2"):
        await users.worker.publish(Message("tm.calls.a", text))
    assert await users.door.count("TM_CALLS") == 1
    stored = await users.door.last("TM_CALLS", "tm.calls.a")
    assert stored is not None and stored.data == b"2"


async def test_keys(users: Users) -> None:
    """Created once, changed, deleted, created again."""
    bucket, key = "tm_idempotency", uuid.uuid4().hex
    assert await users.door.key_get(bucket, key) is None
    await users.door.key_create(bucket, key, b"1")
    with pytest.raises(Exists):
        await users.door.key_create(bucket, key, b"2")
    await users.door.key_put(bucket, key, b"3")
    assert await users.door.key_get(bucket, key) == b"3"
    await users.door.key_delete(bucket, key)
    assert await users.door.key_get(bucket, key) is None
    await users.door.key_create(bucket, key, b"4")


async def test_objects(users: Users) -> None:
    """Larger than a message; gone when deleted; an unknown one is None."""
    data = bytes(range(256)) * 8 * 1024
    await users.door.object_put("tm_payloads", "a.1", io.BytesIO(data))
    assert await users.worker.object_get("tm_payloads", "a.1") == data
    assert set(await users.door.objects("tm_payloads")) == {"a.1"}
    await users.worker.object_delete("tm_payloads", "a.1")
    await users.worker.object_delete("tm_payloads", "a.1")
    assert await users.door.object_get("tm_payloads", "a.1") is None
    assert await users.door.objects("tm_payloads") == {}


async def test_questions_and_notices(users: Users) -> None:
    """Who listens answers; nobody listening is None, not an error."""
    heard: list[bytes] = []

    async def answer(data: bytes) -> bytes | None:
        heard.append(data)
        return b"yes" if data == b"?" else None

    assert await users.door.ask("tm.running", b"?", timeout_s=0.3) is None
    async with users.worker.listen("tm.running", answer), users.worker.listen("tm.cancelled", answer):

        async def answered() -> bool:
            return await users.door.ask("tm.running", b"?", timeout_s=0.3) == b"yes"

        await eventually(answered)
        await users.door.notify("tm.cancelled", b"!")

        async def noticed() -> bool:
            return b"!" in heard

        await eventually(noticed)
