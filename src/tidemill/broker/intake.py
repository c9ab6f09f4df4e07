"""A pull consumer read by asking for a number of messages at a time; they arrive at one inbox as they come."""

from __future__ import annotations

import asyncio
import itertools
import time

import orjson
from nats.aio.subscription import Subscription

from tidemill.broker import wire
from tidemill.broker.base import Delivery, Receiver
from tidemill.broker.connection import Connection

ASK_EXPIRES_S = 60.0
"""An unanswered question ends itself after this: an idle function costs one message a minute."""
GRACE_S = 5.0
"""What an answer may take beyond that before the question is taken for lost."""
ASK_AGAIN_S = 1.0

_PLAIN_ENDS = ("404", "408")
"""There was nothing; the time is over."""


class JetStreamIntake:
    """Implements Intake. Questions are numbered; the last token of a message's subject tells which one it answers
    where the server ends a question with a status."""

    def __init__(self, connection: Connection, stream: str, consumer: str, receive: Receiver) -> None:
        self._connection = connection
        self._question = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = connection.client.new_inbox()
        self._receive = receive
        self._numbers = itertools.count(1)
        self._open: dict[str, tuple[int, float]] = {}
        self._subscription: Subscription | None = None

    @classmethod
    async def open(cls, connection: Connection, stream: str, consumer: str, receive: Receiver) -> JetStreamIntake:
        intake = cls(connection, stream, consumer, receive)
        intake._subscription = await connection.client.subscribe_direct(f"{intake._inbox}.*", intake._arrived)
        connection.on_disconnect(intake._forget)
        return intake

    @property
    def asked(self) -> int:
        now = time.monotonic()
        lost = [number for number, (_, until) in self._open.items() if until < now]
        for number in lost:
            del self._open[number]
        return sum(count for count, _ in self._open.values())

    def ask(self, count: int) -> None:
        if not self._connection.is_ready:
            return
        number = f"{self._inbox}.{next(self._numbers)}"
        self._open[number] = (count, time.monotonic() + ASK_EXPIRES_S + GRACE_S)
        question = orjson.dumps({"batch": count, "expires": int(ASK_EXPIRES_S * 1e9)})
        wire.write(
            self._connection.client,
            b"PUB %b %b %d\r\n%b\r\n" % (self._question.encode(), number.encode(), len(question), question),
        )

    async def close(self) -> None:
        self._open.clear()
        self._connection.drop_disconnect_hook(self._forget)
        if self._subscription is not None and not self._connection.raw.is_closed:
            await self._subscription.unsubscribe()

    def _arrived(self, subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
        if not reply:
            self._open.pop(subject.decode(), None)
            if wire.status_of(headers) in _PLAIN_ENDS:
                self._receive(None)
            else:  # the consumer is gone, or the server about to go: asking again at once would be asking for ever
                asyncio.get_running_loop().call_later(ASK_AGAIN_S, self._receive, None)
            return
        self._count_down()
        self._receive(_delivery(subject.decode(), reply.decode(), wire.read_headers(headers), data))

    def _count_down(self) -> None:
        """Deliveries carry their own subject, so any open question is as good as another: the oldest is filled
        first, as the server does it."""
        for number, (count, until) in self._open.items():
            if count == 1:
                del self._open[number]
            else:
                self._open[number] = (count - 1, until)
            return

    def _forget(self) -> None:
        self._open.clear()
        self._receive(None)


def _delivery(subject: str, reply: str, headers: dict[str, str], data: bytes) -> Delivery:
    """`$JS.ACK.STREAM.CONSUMER.DELIVERED.SEQUENCE.…`, with domain and account before the stream from 2.12 on where
    those are set."""
    tokens = reply.split(".")
    first = 2 if len(tokens) == 9 else 4
    return Delivery(
        subject=subject,
        data=data,
        headers=headers,
        sequence=int(tokens[first + 3]),
        number=int(tokens[first + 2]),
        token=reply,
    )
