"""Keeps one line of work per deployed function, shares the worker among them, and buries what removed functions
left behind."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

from tidemill.broker.base import Broker
from tidemill.contract.errors import Unavailable
from tidemill.contract.names import STREAM_QUEUE, FunctionRef, queue_filter
from tidemill.contract.tuning import Tuning
from tidemill.lib.log import Logger
from tidemill.queue.directory import Directory
from tidemill.queue.line import LEASE_S, Line
from tidemill.queue.window import Window, fair_share
from tidemill.queue.worker import Worker, consumer_name, function_of

TOTAL_AT_ONCE = 256
"""Calls under way in one worker; bounds its memory, and what a busy function can take from others."""
SHARE_EVERY_S = 1.0
LOOK_FOR_GONE_EVERY_S = 10.0
BURY_EVERY_S = 2.0
"""While there is something to bury."""
REMOVED_GRACE_S = 10.0
"""A function that is deployed again within this keeps its jobs (`faas-cli deploy --replace` removes it first)."""
BURIALS_AT_ONCE = 16


@dataclass(slots=True)
class _Work:
    line: Line
    task: asyncio.Task[None]
    tuning: Tuning


class Fleet:
    """`run` until cancelled; then every line hands back its work."""

    def __init__(self, broker: Broker, worker: Worker, directory: Directory, log: Logger) -> None:
        self._broker = broker
        self._worker = worker
        self._directory = directory
        self._log = log
        self._work: dict[FunctionRef, _Work] = {}
        self._gone_since: dict[FunctionRef, float] = {}
        self._changed, self._maybe_gone = asyncio.Event(), asyncio.Event()
        directory.listen(self._changed.set)
        directory.listen(self._maybe_gone.set)

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as both:  # a long burial keeps no new function waiting
                both.create_task(self._keep_lines())
                both.create_task(self._keep_burying())
        finally:
            tasks = [work.task for work in self._work.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_lines(self) -> None:
        while True:
            await _set_within(self._changed, SHARE_EVERY_S)
            self._agree()
            self._share()

    async def _keep_burying(self) -> None:
        while True:
            await _set_within(self._maybe_gone, BURY_EVERY_S if self._gone_since else LOOK_FOR_GONE_EVERY_S)
            if self._directory.listings:
                with suppress(Unavailable):
                    await self._bury()

    def _agree(self) -> None:
        """A line for each deployed function, none for others."""
        if not self._directory.listings:
            return
        deployed = self._directory.deployed
        for ref in self._work.keys() - deployed.keys():
            self._work.pop(ref).task.cancel()
        for ref, function in deployed.items():
            work = self._work.get(ref)
            if work is None:
                self._open(ref, function.tuning)
            else:
                work.tuning = function.tuning

    def _open(self, ref: FunctionRef, tuning: Tuning) -> None:
        line = self._worker.line(ref, lambda: self._tuning(ref), Window(tuning.queue_inflight))
        task = asyncio.create_task(line.run(), name=f"line {ref}")
        task.add_done_callback(lambda done: self._line_ended(ref, done))
        self._work[ref] = _Work(line, task, tuning)

    def _line_ended(self, ref: FunctionRef, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._log.error("line broke", function=str(ref), error=f"{type(error).__name__}: {error}")
            self._work.pop(ref, None)  # opened anew at the next look

    def _tuning(self, ref: FunctionRef) -> Tuning:
        work = self._work.get(ref)
        return work.tuning if work else Tuning()

    def _share(self) -> None:
        active = sum(work.line.is_busy for work in self._work.values())
        for work in self._work.values():
            most = fair_share(work.tuning.queue_inflight, total=TOTAL_AT_ONCE, active=active)
            if work.line.window.most != most:
                work.line.window.bound(most)

    async def _bury(self) -> None:
        """Messages of functions that are gone, and surely so: absent from listings for a while, and the provider,
        asked about this one, says there is none."""
        consumers = await self._broker.consumers(STREAM_QUEUE)
        deployed = self._directory.deployed
        gone = {function_of(name) for name in consumers} - deployed.keys()
        gone |= await self._orphans(sum(backlog.waiting + backlog.in_hand for backlog in consumers.values()))
        now = time.monotonic()
        self._gone_since = {ref: self._gone_since.get(ref, now) for ref in gone}
        for ref, since in self._gone_since.items():
            if now - since >= REMOVED_GRACE_S and await self._directory.is_gone(ref):
                await self._bury_one(ref)

    async def _orphans(self, known: int) -> set[FunctionRef]:
        """Functions that were removed before any consumer of theirs was made."""
        if await self._broker.count(STREAM_QUEUE) <= known:
            return set()
        subjects = await self._broker.subjects(STREAM_QUEUE)
        refs = {FunctionRef(parts[3], parts[2]) for parts in (subject.split(".") for subject in subjects)}
        return refs - self._directory.deployed.keys()

    async def _bury_one(self, ref: FunctionRef) -> None:
        """With a consumer made anew: the old one keeps calls back that wait for their next attempt."""
        name = consumer_name(ref)
        await self._broker.delete_consumer(STREAM_QUEUE, name)
        await self._broker.ensure_consumer(STREAM_QUEUE, name, queue_filter(ref), lease_s=LEASE_S)
        line = self._worker.burial(ref, Window(BURIALS_AT_ONCE))
        task = asyncio.create_task(line.run(), name=f"burial {ref}")
        try:
            while ref not in self._directory.deployed:
                backlog = (await self._broker.consumers(STREAM_QUEUE)).get(name)
                if backlog is None or backlog.waiting + backlog.in_hand == 0:
                    break
                await asyncio.sleep(SHARE_EVERY_S)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if ref not in self._directory.deployed:
            await self._broker.delete_consumer(STREAM_QUEUE, name)
            self._log.info("removed function's queue closed", function=str(ref))


async def _set_within(event: asyncio.Event, most_s: float) -> None:
    """Returns when it is set, or after that time; it is clear then."""
    with suppress(TimeoutError):
        async with asyncio.timeout(most_s):
            await event.wait()
    event.clear()
