"""One consumer worked off: a bounded number of deliveries at once, leases extended, a few more taken ahead."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tidemill.broker.base import Broker, Delivery, Intake
from tidemill.contract.errors import Unavailable
from tidemill.lib.log import Logger
from tidemill.queue.window import Window

LEASE_S = 15.0
"""How long a call of a worker that died waits for another one."""
EXTEND_EVERY_S = LEASE_S / 3
AHEAD = 5
"""In hand at most, as a multiple of the window: running, ready to run, and being written down."""
REOPEN_S = 0.5
STOP_GRACE_S = 8.0
"""For calls under way when the worker is stopped; below what is left of a lease, so that nobody else has them."""


class Line:
    """`work` is awaited with each delivery. It answers it to the broker itself, and calls `free` when another may
    start (at the latest it is free when `work` returns)."""

    def __init__(
        self,
        broker: Broker,
        *,
        stream: str,
        consumer: str,
        subject: str,
        window: Window,
        work: Callable[[Line, Delivery], Awaitable[None]],
        log: Logger,
    ) -> None:
        self._broker = broker
        self._stream, self._consumer, self._subject = stream, consumer, subject
        self.window = window
        self._work = work
        self._log = log
        self._intake: Intake | None = None
        self._ready: deque[Delivery] = deque()
        self._running: set[int] = set()
        self.in_hand: dict[int, Delivery] = {}
        """By sequence."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._doubtful = False
        """A question ended without a message: perhaps the consumer is gone."""

    @property
    def is_busy(self) -> bool:
        return bool(self.in_hand)

    async def run(self) -> None:
        """Until cancelled; then hands back what has not started, waits a while for the rest, and hands that back."""
        try:
            await self._open()
            while True:
                await asyncio.sleep(EXTEND_EVERY_S)
                for delivery in self.in_hand.values():
                    self._broker.extend(delivery)
                if self._doubtful:
                    await self._ensure()
                self._take()
        finally:
            await self._stop()

    def free(self, delivery: Delivery) -> None:
        """This one needs its place no longer, although it is still in hand."""
        self._running.discard(delivery.sequence)
        self._start()

    async def _stop(self) -> None:
        self._stopping = True
        if self._intake is not None:
            with suppress(Unavailable):
                await self._intake.close()
        for delivery in self._ready:
            self._broker.retry(delivery, 0.0)
            self.in_hand.pop(delivery.sequence, None)
        self._ready.clear()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=STOP_GRACE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _ensure(self) -> None:
        with suppress(Unavailable):
            await self._broker.ensure_consumer(self._stream, self._consumer, self._subject, lease_s=LEASE_S)
            self._doubtful = False

    async def _open(self) -> None:
        while self._intake is None:
            try:
                await self._broker.ensure_consumer(self._stream, self._consumer, self._subject, lease_s=LEASE_S)
                self._intake = await self._broker.intake(self._stream, self._consumer, self._receive)
            except Unavailable:
                await asyncio.sleep(REOPEN_S)
            _heed_cancellation()
        self._take()

    def _receive(self, delivery: Delivery | None) -> None:
        if delivery is None:
            self._doubtful = self._intake is not None and self._intake.asked == 0
            self._take()
            return
        if self._stopping:
            self._broker.retry(delivery, 0.0)
            return
        known = self.in_hand.get(delivery.sequence)
        if known is not None:  # the lease ran out while we were cut off: the new token is the one that counts
            known.token, known.number = delivery.token, delivery.number
            return
        self.in_hand[delivery.sequence] = delivery
        self._ready.append(delivery)
        self._start()

    def _start(self) -> None:
        while self._ready and len(self._running) < self.window.size and not self._stopping:
            delivery = self._ready.popleft()
            self._running.add(delivery.sequence)
            task = asyncio.create_task(self._one(delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _one(self, delivery: Delivery) -> None:
        try:
            await self._work(self, delivery)
        except asyncio.CancelledError:
            self._broker.retry(delivery, 0.0)
            raise
        except Exception:  # ours to mend: the delivery comes again when its lease ends
            self._log.error("delivery failed", subject=delivery.subject, sequence=delivery.sequence)
        finally:
            self.in_hand.pop(delivery.sequence, None)
            self.free(delivery)
            self._take()

    def _take(self) -> None:
        if self._intake is None or self._stopping:
            return
        size = self.window.size
        if (asked := self._intake.asked) <= size // 2:
            room = AHEAD * size - len(self.in_hand) - asked
            if room > 0:
                self._intake.ask(room)


def _heed_cancellation() -> None:
    """A cancellation that comes in the same moment as a reply is swallowed by Python 3.11's `asyncio.wait_for`, with
    which the driver waits for it: the line would go on, and whoever cancelled it would wait for ever."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
