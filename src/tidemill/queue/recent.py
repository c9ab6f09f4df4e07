"""Calls that ended a moment ago.

A broker that is killed may forget that it handed a message out, and an ack may be lost with the connection: then a
message whose end is recorded comes again as if for the first time. What was under way when a connection was made is
few, so the newest records, read once per connection, tell.
"""

from __future__ import annotations

import asyncio

from tidemill.broker.base import Broker
from tidemill.contract.calls import ENDED
from tidemill.contract.names import STREAM_CALLS, calls_subject
from tidemill.queue.codec import Unreadable, head_of, read_record

LOOK_BACK = 2048
"""Records; more than a worker has in hand at once."""


class RecentlyEnded:
    """Asked for each first delivery, so it costs a look into a set."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._connection = -1
        self._loading: asyncio.Task[frozenset[int]] | None = None
        self._sequences: frozenset[int] = frozenset()

    async def has(self, sequence: int) -> bool:
        """Whether the message of that sequence ended before this connection was made. Raises Unavailable."""
        if self._connection != self._broker.connections:
            await self._load()
        return sequence in self._sequences

    async def _load(self) -> None:
        connection = self._broker.connections
        if self._loading is None:
            self._loading = asyncio.create_task(self._read())
        loading = self._loading
        try:
            self._sequences = await asyncio.shield(loading)
            self._connection = connection
        finally:
            if self._loading is loading and loading.done():
                self._loading = None

    async def _read(self) -> frozenset[int]:
        found = set()
        for stored in await self._broker.newest(STREAM_CALLS, calls_subject("*"), scan=LOOK_BACK, keep=head_of):
            try:
                record = read_record(stored)
            except Unreadable:
                continue
            if record.state in ENDED:
                found.add(record.sequence)
        return frozenset(found)
