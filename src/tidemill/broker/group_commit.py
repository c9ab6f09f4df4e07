"""Gathers messages that are published at the same time into one atomic batch: one fsync for all of them.

While the disk is busy with one batch the next one gathers, so under load batches grow by themselves. A message
that arrives at rest goes alone and at once; where others were there a moment ago, a short wait lets them join.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from tidemill.broker.base import MESSAGE_ID, Message, Rejected
from tidemill.contract.errors import Unavailable

GATHER_S = 0.004
"""Longest wait for company that was there a moment ago: on a busy machine it comes late, and half a batch costs as
much as a whole one."""
BATCH_MESSAGES = 200
BATCH_BYTES = 4 * 1024 * 1024
WAITING_MESSAGES = 20_000
WAITING_BYTES = 64 * 1024 * 1024
"""What may wait in memory; beyond it the caller is told to come back."""

Publish = Callable[[Message], Awaitable[int]]
PublishBatch = Callable[[Sequence[Message]], Awaitable[None]]

_Entry = tuple[Message, "asyncio.Future[None]"]


class GroupCommit:
    """`submit` returns a future that is done when the message is on disk, never before."""

    def __init__(
        self,
        publish: Publish,
        publish_batch: PublishBatch,
        *,
        gather_s: float = GATHER_S,
        batch_messages: int = BATCH_MESSAGES,
        waiting_messages: int = WAITING_MESSAGES,
        growth: int = 1,
    ) -> None:
        """`growth`: under load, wait for that many times what came together last. 1 suits callers that wait for
        their own answer; more, those who can go on meanwhile and gain from larger batches."""
        self._publish = publish
        self._publish_batch = publish_batch
        self._gather_s = gather_s
        self._batch_messages = batch_messages
        self._waiting_messages = waiting_messages
        self._waiting: list[_Entry] = []
        self._waiting_bytes = 0
        self._commit: asyncio.Task[None] | None = None
        self._growth = growth
        self._awaited = 1
        self._enough = asyncio.Event()

    def submit(self, message: Message) -> asyncio.Future[None]:
        """Raises Unavailable where too much waits already. The future raises Unavailable where the broker did not
        confirm, Rejected where it refused this very message."""
        if len(self._waiting) >= self._waiting_messages or self._waiting_bytes >= WAITING_BYTES:
            raise Unavailable("the queue cannot keep up: too many calls wait to be written", retry_after_s=1.0)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append((message, future))
        self._waiting_bytes += len(message.data)
        if self._commit is None:
            self._commit = loop.create_task(self._run())
        elif len(self._waiting) >= self._awaited:
            self._enough.set()
        return future

    async def close(self) -> None:
        """Waits for what was submitted."""
        if self._commit is not None:
            await self._commit

    async def _run(self) -> None:
        while self._waiting:
            await self._gather()
            batch = self._take()
            self._awaited = 1 if len(batch) == 1 else min(len(batch) * self._growth, self._batch_messages)
            await self._store(batch)
        self._commit = None

    async def _gather(self) -> None:
        """At rest the last batch had one message: go at once. Else wait for company."""
        if len(self._waiting) >= self._awaited:
            return
        self._enough.clear()
        try:
            async with asyncio.timeout(self._gather_s):
                await self._enough.wait()
        except TimeoutError:
            pass

    def _take(self) -> list[_Entry]:
        size = count = 0
        for message, _ in self._waiting[: self._batch_messages]:
            if count and size + len(message.data) > BATCH_BYTES:
                break
            size += len(message.data)
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        self._waiting_bytes -= size
        return batch

    async def _store(self, batch: list[_Entry]) -> None:
        """One duplicate or one wrong expectation rejects a whole batch with nothing stored: so duplicates are taken
        out first, and on rejection each goes alone, and only the culprit is refused."""
        unique, twins = _split_twins(batch)
        if len(unique) == 1:
            await self._store_alone(unique[0])
        else:
            try:
                await self._publish_batch([message for message, _ in unique])
            except Rejected:
                await asyncio.gather(*(self._store_alone(entry) for entry in unique))
            except Exception as error:  # whatever it is: nobody may wait for ever, and nothing was confirmed
                for _, future in unique:
                    _fail(future, error)
            else:
                for _, future in unique:
                    _succeed(future)
        for twin, future in twins:
            _follow(twin, future)

    async def _store_alone(self, entry: _Entry) -> None:
        message, future = entry
        try:
            await self._publish(message)
        except Exception as error:
            _fail(future, error)
        else:
            _succeed(future)


def _split_twins(batch: list[_Entry]) -> tuple[list[_Entry], list[tuple[asyncio.Future[None], asyncio.Future[None]]]]:
    """The first of each message id, and (first, later) futures of the rest."""
    firsts: dict[str, asyncio.Future[None]] = {}
    unique: list[_Entry] = []
    twins: list[tuple[asyncio.Future[None], asyncio.Future[None]]] = []
    for entry in batch:
        message_id = entry[0].headers.get(MESSAGE_ID)
        if message_id is not None and message_id in firsts:
            twins.append((firsts[message_id], entry[1]))
        else:
            if message_id is not None:
                firsts[message_id] = entry[1]
            unique.append(entry)
    return unique, twins


def _follow(first: asyncio.Future[None], future: asyncio.Future[None]) -> None:
    if first.cancelled():
        _fail(future, Unavailable("the call that this one repeats was abandoned while it was written"))
    elif error := first.exception():
        _fail(future, error)
    else:
        _succeed(future)


def _succeed(future: asyncio.Future[None]) -> None:
    if not future.done():  # the submitter may have gone
        future.set_result(None)


def _fail(future: asyncio.Future[None], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
