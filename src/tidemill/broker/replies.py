"""Answers to publishes, found by the last token of one wildcard inbox: no subscription and no timer per message."""

from __future__ import annotations

import asyncio
import itertools
from typing import NamedTuple

from tidemill.broker import wire
from tidemill.broker.connection import Connection
from tidemill.contract.errors import Unavailable


class Reply(NamedTuple):
    status: str
    """Empty, or what the server said instead of the one who was asked: `503` where nobody listens."""
    data: bytes


class Replies:
    """`expect` gives the future of what arrives at a subject; a lost connection fails all of them at once."""

    def __init__(self, connection: Connection) -> None:
        self._prefix = f"{connection.inbox_prefix}.acks.{connection.instance}"
        self._numbers = itertools.count(1)
        self._expected: dict[str, asyncio.Future[Reply]] = {}
        connection.on_connect(self._subscribe)
        connection.on_disconnect(self._fail_all)
        self._connection = connection

    def subject(self) -> str:
        """A new one; its last token is unique in the world."""
        return f"{self._prefix}.{self._connection.instance}{next(self._numbers)}"

    def expect(self, subject: str) -> asyncio.Future[Reply]:
        """To be called right after the request was written."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._expected[subject] = future
        future.add_done_callback(lambda _: self._expected.pop(subject, None))
        return future

    async def _subscribe(self) -> None:
        await self._connection.raw.subscribe_direct(f"{self._prefix}.*", self._arrived)

    def _arrived(self, subject: bytes, _: bytes, headers: bytes, data: bytes) -> None:
        future = self._expected.get(subject.decode())
        if future is not None and not future.done():
            future.set_result(Reply(wire.status_of(headers), data))

    def _fail_all(self) -> None:
        for future in list(self._expected.values()):
            if not future.done():
                future.set_exception(Unavailable("the connection to the queue broke before it confirmed"))
