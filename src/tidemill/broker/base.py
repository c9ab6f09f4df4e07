"""What the engines ask of the platform's log: durable messages, work to take, small keys, large objects.

Promises, the same for every implementation (one conformance suite runs on all of them):

- `publish` and `publish_batch` return when the message is on disk. A batch is stored whole or not at all; only where
  the machine goes down in the middle of one, which then was confirmed to nobody, may a part of it stay.
- A delivery that is neither acknowledged nor retried within its lease comes again, with a higher number.
- Everything raises `Unavailable` where the broker cannot be reached; then nothing is known of what was sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, Protocol

from tidemill.contract.errors import TidemillError

BATCH_MOST = 1000
"""Messages in one atomic batch; nats-server's own limit."""
MESSAGE_MOST_BYTES = 1024 * 1024
"""Headers and payload of one message together; nats-server's default."""

MESSAGE_ID = "Nats-Msg-Id"
"""A header by which the broker knows a repeated publish for two minutes; a shield, not a promise."""


class Rejected(TidemillError):
    """The broker refused to store the message."""

    code = "rejected"


class Exists(Rejected):
    """There is a message or key of that name already."""

    code = "exists"


@dataclass(frozen=True, slots=True)
class Message:
    """To be published."""

    subject: str
    data: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stored:
    """As it lies in a stream."""

    subject: str
    data: bytes
    headers: Mapping[str, str]
    sequence: int
    stored_at: datetime


@dataclass(slots=True, eq=False)
class Delivery:
    """One message handed out, to be answered by `ack` or `retry`."""

    subject: str
    data: bytes
    headers: Mapping[str, str]
    sequence: int
    number: int
    """1 the first time."""
    token: str
    """What the broker knows this delivery by."""


class Intake(Protocol):
    """Deliveries of one consumer, handed to a receiver as they come, never more than were asked for."""

    @property
    def asked(self) -> int:
        """How many may still come without asking again; falls to 0 where the broker went away or some time passed."""
        ...

    def ask(self, count: int) -> None: ...

    async def close(self) -> None:
        """No more deliveries; those already handed over stay valid."""
        ...


Keep = Callable[[bytes], bytes]
"""What of a message's data is kept in memory."""

Receiver = Callable[[Delivery | None], None]
"""Called with each delivery, and with None whenever `asked` fell for another reason: time to ask again."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a consumer has to do."""

    waiting: int
    in_hand: int


class Broker(Protocol):
    """See the module."""

    @property
    def is_connected(self) -> bool: ...

    @property
    def connections(self) -> int:
        """How often a connection was made so far."""
        ...

    async def publish(self, message: Message, *, only_if_absent: bool = False) -> int:
        """The sequence it was stored at. With `only_if_absent`, raises Exists where a message of its subject is
        in the stream."""
        ...

    async def publish_batch(self, messages: Sequence[Message]) -> None:
        """All of one stream, at most BATCH_MOST. Raises Rejected where none was stored."""
        ...

    async def last(self, stream: str, subject: str) -> Stored | None:
        """The newest message of a subject; `*` stands for one token."""
        ...

    async def newest(self, stream: str, subject: str, *, scan: int, keep: Keep = bytes) -> Sequence[Stored]:
        """Messages of a subject (wildcards allowed) among the last `scan` of the stream, newest first. `keep` says
        what of their data: all of many messages would not fit into memory."""
        ...

    async def delete(self, stream: str, sequence: int) -> bool:
        """Whether there was such a message."""
        ...

    async def purge(self, stream: str, subject: str) -> int:
        """How many messages of that subject (wildcards allowed) were removed."""
        ...

    async def ensure_consumer(self, stream: str, name: str, subject: str, *, lease_s: float) -> None: ...

    async def consumers(self, stream: str) -> Mapping[str, Backlog]: ...

    async def count(self, stream: str) -> int:
        """Messages in the stream."""
        ...

    async def subjects(self, stream: str) -> Sequence[str]:
        """Subjects that have messages."""
        ...

    async def delete_consumer(self, stream: str, name: str) -> None: ...

    async def intake(self, stream: str, consumer: str, receive: Receiver) -> Intake: ...

    def ack(self, delivery: Delivery) -> None:
        """Done: the message leaves a work queue. May be lost; then it is delivered again."""
        ...

    def retry(self, delivery: Delivery, delay_s: float) -> None:
        """Again, not before `delay_s`."""
        ...

    def extend(self, delivery: Delivery) -> None:
        """The lease begins anew."""
        ...

    async def key_create(self, bucket: str, key: str, value: bytes) -> None:
        """Raises Exists."""
        ...

    async def key_get(self, bucket: str, key: str) -> bytes | None: ...

    async def key_put(self, bucket: str, key: str, value: bytes) -> None: ...

    async def key_delete(self, bucket: str, key: str) -> None: ...

    async def object_put(self, bucket: str, name: str, source: BinaryIO) -> None:
        """Durable when it returns."""
        ...

    async def object_get(self, bucket: str, name: str) -> bytes | None: ...

    async def object_delete(self, bucket: str, name: str) -> None:
        """An unknown name is no error."""
        ...

    async def objects(self, bucket: str) -> Mapping[str, datetime]:
        """Names, and when each was written."""
        ...

    async def notify(self, subject: str, data: bytes) -> None:
        """To whoever listens right now; kept nowhere."""
        ...

    async def ask(self, subject: str, data: bytes, *, timeout_s: float) -> bytes | None:
        """The answer of whoever listens; None where nobody does or none came in time."""
        ...

    def listen(
        self, subject: str, handle: Callable[[bytes], Awaitable[bytes | None]]
    ) -> AbstractAsyncContextManager[None]:
        """Calls `handle` with each notice or question; what it returns is the answer."""
        ...
