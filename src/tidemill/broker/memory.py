"""The broker in memory, for tests and for trying things: the same promises and limits, nothing on disk."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import BinaryIO

from tidemill.broker.base import (
    BATCH_MOST,
    MESSAGE_ID,
    MESSAGE_MOST_BYTES,
    Backlog,
    Delivery,
    Exists,
    Intake,
    Keep,
    Message,
    Receiver,
    Rejected,
    Stored,
)
from tidemill.broker.streams import KEY_BUCKETS, STREAMS, StreamSpec
from tidemill.contract.errors import Unavailable

Listener = Callable[[bytes], Awaitable[bytes | None]]


def matches(pattern: str, subject: str) -> bool:
    """NATS's rules: `*` is one token, a last `>` one or more."""
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted = wanted[:-1]
        if len(given) <= len(wanted):
            return False
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(w in ("*", g) for w, g in zip(wanted, given, strict=True))


@dataclass(slots=True)
class _Stream:
    spec: StreamSpec
    messages: dict[int, Stored] = field(default_factory=dict)
    sequence: int = 0
    message_ids: set[str] = field(default_factory=set)
    consumers: dict[str, _Consumer] = field(default_factory=dict)

    def of(self, subject: str) -> list[Stored]:
        return [message for message in self.messages.values() if matches(subject, message.subject)]

    def store(self, message: Message) -> int:
        if self.spec.one_per_subject:
            for old in self.of(message.subject):
                del self.messages[old.sequence]
        self.sequence += 1
        headers = {name: value for name, value in message.headers.items()}
        self.messages[self.sequence] = Stored(
            message.subject, message.data, headers, self.sequence, datetime.now(UTC)
        )
        if message_id := message.headers.get(MESSAGE_ID):
            self.message_ids.add(message_id)
        return self.sequence


@dataclass(slots=True)
class _Consumer:
    subject: str
    lease_s: float
    delivered: dict[int, int] = field(default_factory=dict)
    """Sequence to number of deliveries."""
    due: dict[int, float] = field(default_factory=dict)
    """Sequence to the moment it may be delivered again."""
    intakes: list[_MemoryIntake] = field(default_factory=list)


class MemoryBroker:
    """Implements Broker. `connected = False` makes it unreachable."""

    def __init__(self) -> None:
        self.connected = True
        self._streams = {spec.name: _Stream(spec) for spec in STREAMS}
        self._keys: dict[tuple[str, str], bytes] = {}
        self._objects: dict[tuple[str, str], tuple[bytes, datetime]] = {}
        self._listeners: list[tuple[str, Listener]] = []
        self._tokens = itertools.count(1)
        self._open: dict[str, tuple[_Stream, _Consumer, int]] = {}

    @property
    def is_connected(self) -> bool:
        return self.connected

    @property
    def connections(self) -> int:
        return 1

    async def publish(self, message: Message, *, only_if_absent: bool = False) -> int:
        stream = self._accepting(message)
        if only_if_absent and stream.of(message.subject):
            raise Exists("the queue refused: wrong last sequence")
        if (message_id := message.headers.get(MESSAGE_ID)) and message_id in stream.message_ids:
            return stream.sequence
        sequence = stream.store(message)
        self._deliver(stream)
        return sequence

    async def publish_batch(self, messages: Sequence[Message]) -> None:
        if not 1 <= len(messages) <= BATCH_MOST:
            raise Rejected(f"a batch has 1 to {BATCH_MOST} messages")
        streams = [self._accepting(message) for message in messages]
        ids = [message_id for message in messages if (message_id := message.headers.get(MESSAGE_ID))]
        if len(set(ids)) < len(ids) or any(each in streams[0].message_ids for each in ids):
            raise Rejected("the queue refused: duplicate message in the batch")
        if any(stream is not streams[0] for stream in streams):
            raise Rejected("a batch belongs to one stream")
        for message in messages:
            streams[0].store(message)
        self._deliver(streams[0])

    async def last(self, stream: str, subject: str) -> Stored | None:
        found = self._stream(stream).of(subject)
        return found[-1] if found else None

    async def newest(self, stream: str, subject: str, *, scan: int, keep: Keep = bytes) -> Sequence[Stored]:
        held = self._stream(stream)
        found = (each for each in reversed(held.of(subject)) if each.sequence > held.sequence - scan)
        return [replace(each, data=keep(each.data)) for each in found]

    async def delete(self, stream: str, sequence: int) -> bool:
        return self._stream(stream).messages.pop(sequence, None) is not None

    async def purge(self, stream: str, subject: str) -> int:
        held = self._stream(stream)
        found = held.of(subject)
        for message in found:
            del held.messages[message.sequence]
        return len(found)

    async def count(self, stream: str) -> int:
        return len(self._stream(stream).messages)

    async def subjects(self, stream: str) -> Sequence[str]:
        return sorted({message.subject for message in self._stream(stream).messages.values()})

    async def ensure_consumer(self, stream: str, name: str, subject: str, *, lease_s: float) -> None:
        held = self._stream(stream)
        held.consumers.setdefault(name, _Consumer(subject, lease_s)).lease_s = lease_s

    async def consumers(self, stream: str) -> Mapping[str, Backlog]:
        held = self._stream(stream)
        found = {}
        for name, consumer in held.consumers.items():
            sequences = {message.sequence for message in held.of(consumer.subject)}
            in_hand = sequences & consumer.delivered.keys()
            found[name] = Backlog(len(sequences) - len(in_hand), len(in_hand))
        return found

    async def delete_consumer(self, stream: str, name: str) -> None:
        self._stream(stream).consumers.pop(name, None)

    async def intake(self, stream: str, consumer: str, receive: Receiver) -> Intake:
        held = self._stream(stream)
        intake = _MemoryIntake(self, held, held.consumers[consumer], receive)
        held.consumers[consumer].intakes.append(intake)
        return intake

    def ack(self, delivery: Delivery) -> None:
        opened = self._open.pop(delivery.token, None)
        if opened is None:
            return
        stream, consumer, sequence = opened
        consumer.due.pop(sequence, None)
        if stream.spec.work_queue:
            stream.messages.pop(sequence, None)

    def retry(self, delivery: Delivery, delay_s: float) -> None:
        self._again(delivery, delay_s)

    def extend(self, delivery: Delivery) -> None:
        if opened := self._open.get(delivery.token):
            self._again(delivery, opened[1].lease_s)

    async def key_create(self, bucket: str, key: str, value: bytes) -> None:
        if (self._bucket(bucket), key) in self._keys:
            raise Exists("the queue refused: wrong last sequence")
        self._keys[bucket, key] = value

    async def key_get(self, bucket: str, key: str) -> bytes | None:
        return self._keys.get((self._bucket(bucket), key))

    async def key_put(self, bucket: str, key: str, value: bytes) -> None:
        self._keys[self._bucket(bucket), key] = value

    async def key_delete(self, bucket: str, key: str) -> None:
        self._keys.pop((self._bucket(bucket), key), None)

    async def object_put(self, bucket: str, name: str, source: BinaryIO) -> None:
        self._check()
        self._objects[bucket, name] = (source.read(), datetime.now(UTC))

    async def object_get(self, bucket: str, name: str) -> bytes | None:
        self._check()
        found = self._objects.get((bucket, name))
        return found[0] if found else None

    async def object_delete(self, bucket: str, name: str) -> None:
        self._check()
        self._objects.pop((bucket, name), None)

    async def objects(self, bucket: str) -> Mapping[str, datetime]:
        self._check()
        return {name: when for (held, name), (_, when) in self._objects.items() if held == bucket}

    async def notify(self, subject: str, data: bytes) -> None:
        self._check()
        for pattern, handle in self._listeners:
            if matches(pattern, subject):
                await handle(data)

    async def ask(self, subject: str, data: bytes, *, timeout_s: float) -> bytes | None:
        self._check()
        for pattern, handle in self._listeners:
            if matches(pattern, subject) and (answer := await handle(data)):
                return answer
        return None

    @asynccontextmanager
    async def listen(self, subject: str, handle: Listener) -> AsyncIterator[None]:
        entry = (subject, handle)
        self._listeners.append(entry)
        try:
            yield
        finally:
            self._listeners.remove(entry)

    def _check(self) -> None:
        if not self.connected:
            raise Unavailable("the queue is not connected", retry_after_s=1.0)

    def _stream(self, name: str) -> _Stream:
        self._check()
        return self._streams[name]

    def _bucket(self, name: str) -> str:
        self._check()
        if name not in {bucket.name for bucket in KEY_BUCKETS}:
            raise Unavailable(f"there is no bucket {name}")
        return name

    def _accepting(self, message: Message) -> _Stream:
        self._check()
        size = len(message.data) + sum(len(name) + len(value) + 4 for name, value in message.headers.items())
        if size > MESSAGE_MOST_BYTES:
            raise Rejected(f"a message may have {MESSAGE_MOST_BYTES} bytes")
        for stream in self._streams.values():
            if any(matches(pattern, message.subject) for pattern in stream.spec.subjects):
                return stream
        raise Unavailable("the queue is not ready", retry_after_s=1.0)

    def _again(self, delivery: Delivery, delay_s: float) -> None:
        opened = self._open.get(delivery.token)
        if opened is None:
            return
        stream, consumer, sequence = opened
        loop = asyncio.get_running_loop()
        consumer.due[sequence] = loop.time() + delay_s
        loop.call_later(delay_s + 0.001, self._deliver, stream)

    def _deliver(self, stream: _Stream) -> None:
        """Everything due, to whoever asked; each delivery is due again when its lease ends."""
        loop = asyncio.get_running_loop()
        for consumer in stream.consumers.values():
            for message in stream.of(consumer.subject):
                intake = next((each for each in consumer.intakes if each.asked > 0), None)
                if intake is None:
                    break
                if consumer.due.get(message.sequence, 0.0) > loop.time():
                    continue
                number = consumer.delivered.get(message.sequence, 0) + 1
                consumer.delivered[message.sequence] = number
                consumer.due[message.sequence] = loop.time() + consumer.lease_s
                loop.call_later(consumer.lease_s + 0.001, self._deliver, stream)
                token = str(next(self._tokens))
                self._open[token] = (stream, consumer, message.sequence)
                intake.asked -= 1
                delivery = Delivery(message.subject, message.data, message.headers, message.sequence, number, token)
                loop.call_soon(intake.receive, delivery)


class _MemoryIntake:
    def __init__(self, broker: MemoryBroker, stream: _Stream, consumer: _Consumer, receive: Receiver) -> None:
        self._broker, self._stream, self._consumer = broker, stream, consumer
        self.receive = receive
        self.asked = 0

    def ask(self, count: int) -> None:
        self.asked += count
        self._broker._deliver(self._stream)

    async def close(self) -> None:
        self.asked = 0
        if self in self._consumer.intakes:
            self._consumer.intakes.remove(self)
