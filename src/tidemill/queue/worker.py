"""The queue worker: a line of work per function, and what happens to one delivery on it.

redelivered?  → what does the log know of it: ended (finish the ending), or attempts made
attempts left → payload → attempt through the edge → decide → write down → tell the broker
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from tidemill.broker.base import Broker, Delivery
from tidemill.broker.permissions import CALL_CANCELLED, CALL_RUNNING
from tidemill.contract.calls import ENDED, Attempt, CallRecord, QueuedCall
from tidemill.contract.names import (
    OBJECTS_PAYLOADS,
    STREAM_CALLS,
    STREAM_DEAD,
    STREAM_QUEUE,
    FunctionRef,
    calls_subject,
    dead_subject,
    queue_filter,
)
from tidemill.contract.tuning import Tuning
from tidemill.lib.log import Logger
from tidemill.queue.calling import Caller, Tried
from tidemill.queue.codec import Unreadable, body_of, read_call, read_dead_letter, read_record
from tidemill.queue.endings import Endings
from tidemill.queue.line import Line
from tidemill.queue.policy import Dead, RetryIn, Succeeded, decide, decide_exhausted
from tidemill.queue.recent import RecentlyEnded
from tidemill.queue.window import Window

UNREADABLE_AGAIN_S = 3600.0
"""A message that this version cannot read is kept for one that can."""
CANCELLED_KEPT = 10_000
"""Notices remembered; most are of calls that no worker has in hand."""

_GONE = Dead("the payload is not in the object store any longer", "gave_up")


@dataclass(slots=True)
class _Running:
    attempt: int
    since: datetime


@dataclass(frozen=True, slots=True)
class _History:
    """What the log knows of a delivery that came before."""

    attempts: tuple[Attempt, ...] = ()
    ended: CallRecord | None = None
    answer: bytes = b""
    dead: Dead | None = None


class Worker:
    """Holds what all lines share."""

    def __init__(self, broker: Broker, caller: Caller, endings: Endings, log: Logger) -> None:
        self._broker = broker
        self._caller = caller
        self._endings = endings
        self._log = log
        self._running: dict[int, _Running] = {}
        self._cancelled: dict[int, None] = {}
        self._recent = RecentlyEnded(broker)

    def line(self, ref: FunctionRef, tuning: Callable[[], Tuning], window: Window) -> Line:
        """Of a deployed function."""

        async def work(line: Line, delivery: Delivery) -> None:
            await self._work(line, delivery, tuning())

        return self._line(ref, window, work)

    def burial(self, ref: FunctionRef, window: Window) -> Line:
        """Of a function that is gone: its messages become dead letters."""
        dead = Dead(f"function {ref} was removed", "function_removed")

        async def work(line: Line, delivery: Delivery) -> None:
            call = read_call(delivery)
            history = await self._history(delivery, call)
            await self._die(delivery, call, list(history.attempts), dead, None, Tuning())

        return self._line(ref, window, work)

    async def listen(self) -> None:
        """To the door's notices and questions, until cancelled."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._broker.listen(CALL_CANCELLED, self._on_cancelled))
            await stack.enter_async_context(self._broker.listen(CALL_RUNNING, self._on_question))
            await asyncio.Event().wait()

    def _line(self, ref: FunctionRef, window: Window, work: Callable[[Line, Delivery], Awaitable[None]]) -> Line:
        return Line(
            self._broker,
            stream=STREAM_QUEUE,
            consumer=consumer_name(ref),
            subject=queue_filter(ref),
            window=window,
            work=work,
            log=self._log,
        )

    async def _work(self, line: Line, delivery: Delivery, tuning: Tuning) -> None:
        try:
            call = read_call(delivery)
        except Unreadable as error:
            self._log.error("message unreadable", subject=delivery.subject, reason=str(error))
            self._broker.retry(delivery, UNREADABLE_AGAIN_S)
            return
        attempts: list[Attempt] = []
        if delivery.number > 1 or await self._recent.has(delivery.sequence):
            history = await self._history(delivery, call)
            if history.ended:
                most = tuning.retry.attempts
                await self._endings.finish(delivery, call, history.ended, history.answer, most)
                return
            attempts = _with_lost(history.attempts, delivery.number)
            if dead := history.dead or decide_exhausted(attempts, tuning.retry):
                await self._die(delivery, call, attempts, dead, None, tuning)
                return
        await self._attempt(line, delivery, call, attempts, tuning)

    async def _attempt(
        self, line: Line, delivery: Delivery, call: QueuedCall, attempts: list[Attempt], tuning: Tuning
    ) -> None:
        payload: bytes | None = delivery.data
        if call.payload_object:
            payload = await self._broker.object_get(OBJECTS_PAYLOADS, call.payload_object)
        if payload is None:
            await self._die(delivery, call, attempts, _GONE, None, tuning)
            return
        number, sequence = delivery.number, delivery.sequence
        if sequence in self._cancelled:
            del self._cancelled[sequence]
            self._broker.ack(delivery)
            return
        self._running[sequence] = _Running(number, datetime.now(UTC))
        try:
            tried = await self._caller.attempt(call, payload, number, tuning)
        finally:
            del self._running[sequence]
        attempts.append(tried.attempt)
        self._learn(line, tried)
        line.free(delivery)
        await self._settle(delivery, call, attempts, tried, tuning)

    async def _settle(
        self, delivery: Delivery, call: QueuedCall, attempts: list[Attempt], tried: Tried, tuning: Tuning
    ) -> None:
        decision = decide(tried.outcome, attempts, tuning.retry, now=datetime.now(UTC), random=random.random())
        if isinstance(decision, Succeeded):
            assert tried.answer is not None
            await self._endings.succeed(delivery, call, attempts, tried.answer, tuning.retry.attempts)
            self._say("info", "succeeded", call, tried.attempt)
        elif delivery.sequence in self._cancelled:
            del self._cancelled[delivery.sequence]
            await self._endings.cancelled(delivery, call, attempts)
            self._say("info", "cancelled", call, tried.attempt)
        elif isinstance(decision, RetryIn):
            self._say("warning", "retry", call, tried.attempt, delay_s=round(decision.delay_s, 3))
            await self._endings.retry(delivery, call, attempts, decision.delay_s)
        else:
            await self._die(delivery, call, attempts, decision, tried, tuning)

    async def _die(
        self,
        delivery: Delivery,
        call: QueuedCall,
        attempts: list[Attempt],
        dead: Dead,
        tried: Tried | None,
        tuning: Tuning,
    ) -> None:
        answer = tried.answer if tried else None
        await self._endings.die(delivery, call, attempts, dead, answer, tuning.retry.attempts)
        last = attempts[-1] if attempts else None
        self._say("error", "dead", call, last, code=dead.code, why=dead.reason)

    async def _history(self, delivery: Delivery, call: QueuedCall) -> _History:
        """Only what is about this very message: an id may have been used before, and a redrive begins anew."""
        stored = await self._broker.last(STREAM_CALLS, calls_subject(call.call_id))
        record = read_record(stored) if stored else None
        if record is not None and record.sequence != delivery.sequence:
            record = None
        if record is not None and record.state in ENDED:
            return _History(record.attempts, record, body_of(stored) if stored else b"")
        buried = await self._broker.last(STREAM_DEAD, dead_subject(call.function, call.call_id))
        if buried is not None and (death := read_dead_letter(buried).death).sequence == delivery.sequence:
            return _History(death.attempts, dead=Dead(death.reason, death.code))
        return _History(record.attempts if record else ())

    @staticmethod
    def _learn(line: Line, tried: Tried) -> None:
        if tried.outcome.status == 429:
            line.window.pushed_back(time.monotonic())
        elif tried.outcome.status is not None and tried.outcome.status < 400:
            line.window.succeeded()

    async def _on_cancelled(self, data: bytes) -> None:
        self._cancelled[orjson.loads(data)["sequence"]] = None
        if len(self._cancelled) > CANCELLED_KEPT:
            del self._cancelled[next(iter(self._cancelled))]

    async def _on_question(self, data: bytes) -> bytes | None:
        running = self._running.get(orjson.loads(data)["sequence"])
        if running is None:
            return None
        return orjson.dumps({"attempt": running.attempt, "since": running.since})

    def _say(self, level: str, event: str, call: QueuedCall, attempt: Attempt | None, **fields: object) -> None:
        """One line per attempt: its outcome."""
        if attempt is not None:
            fields["attempt"] = attempt.number
            fields["duration_s"] = round(attempt.duration_s, 6)
            if attempt.status is not None:
                fields["status"] = attempt.status
            if attempt.reason:
                fields["reason"] = attempt.reason
        self._log.log(
            level,
            event,
            function=str(call.function),
            call_id=call.call_id,
            correlation_id=call.correlation_id,
            trace_id=call.trace_id,
            **fields,
        )


def consumer_name(ref: FunctionRef) -> str:
    """DNS labels have no underscore, so it separates."""
    return f"{ref.namespace}_{ref.name}"


def function_of(consumer: str) -> FunctionRef:
    namespace, _, name = consumer.partition("_")
    return FunctionRef(name, namespace)


def _with_lost(attempts: tuple[Attempt, ...], number: int) -> list[Attempt]:
    """Deliveries before this one that nothing is known of: the worker was killed in the middle, or handed them back
    before it began. They count as turned away, since nobody can tell."""
    known = {attempt.number for attempt in attempts}
    now = datetime.now(UTC)
    lost = [
        Attempt(each, now, 0.0, reason="the worker stopped before it wrote down what came of it", carried=False)
        for each in range(1, number)
        if each not in known
    ]
    return sorted([*attempts, *lost], key=lambda attempt: attempt.number)
