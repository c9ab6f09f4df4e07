"""A line of work that is told to end at an awkward moment."""

from __future__ import annotations

import asyncio

from tidemill.broker.base import Delivery
from tidemill.broker.memory import MemoryBroker
from tidemill.contract.names import STREAM_QUEUE
from tidemill.lib.log import Logger
from tidemill.queue.line import Line
from tidemill.queue.window import Window


class SwallowingBroker(MemoryBroker):
    """Replies in the very moment in which its caller is cancelled, as `asyncio.wait_for` of Python 3.11 has it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def ensure_consumer(self, stream: str, name: str, subject: str, *, lease_s: float) -> None:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await super().ensure_consumer(stream, name, subject, lease_s=lease_s)


async def test_a_line_that_is_cancelled_while_it_opens_ends() -> None:
    """Whatever the driver makes of the cancellation."""
    broker = SwallowingBroker()

    async def work(line: Line, delivery: Delivery) -> None: ...

    line = Line(
        broker,
        stream=STREAM_QUEUE,
        consumer="fn",
        subject="tm.queue.openfaas-fn.fn.*",
        window=Window(1),
        work=work,
        log=Logger("test"),
    )
    task = asyncio.create_task(line.run())
    await broker.asked.wait()
    task.cancel()
    async with asyncio.timeout(20):
        await asyncio.wait([task])
    assert task.cancelled()
