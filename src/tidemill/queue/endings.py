"""How a delivery ends: written down first, then told to the broker. Each step may be repeated.

    succeeded   record with the answer → callback message → ack
    retrying    record with the attempts → not acknowledged, again after the delay
    dead        dead letter → record → callback message → ack

A worker that dies in between finds by the record or the dead letter, when the message comes again, how far it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from tidemill.broker.base import Broker, Delivery
from tidemill.broker.group_commit import GroupCommit
from tidemill.broker.streams import OBJECTS_RESULTS
from tidemill.contract.calls import Attempt, CallRecord, DeadLetter, Death, QueuedCall, Result
from tidemill.contract.errors import Unavailable
from tidemill.contract.names import CLAIM_CHECK_BYTES, OBJECTS_PAYLOADS
from tidemill.invoke.http1 import Answer
from tidemill.lib.log import Logger
from tidemill.queue.callbacks import CallbackNote, callback_message
from tidemill.queue.codec import dead_message, record_message
from tidemill.queue.payloads import store_answer
from tidemill.queue.policy import Dead

AGAIN_S = 0.2
AGAIN_MOST_S = 2.0


class Endings:
    """Waits for the broker where it is away: an outcome in hand is not thrown away."""

    def __init__(self, broker: Broker, commit: GroupCommit, log: Logger) -> None:
        self._broker = broker
        self._commit = commit
        self._log = log

    async def succeed(
        self, delivery: Delivery, call: QueuedCall, attempts: Sequence[Attempt], answer: Answer, most_attempts: int
    ) -> None:
        await self._end(delivery, call, "succeeded", attempts, answer, most_attempts)
        if call.payload_object:
            await self._persist(lambda: self._broker.object_delete(OBJECTS_PAYLOADS, call.payload_object or ""))

    async def retry(self, delivery: Delivery, call: QueuedCall, attempts: Sequence[Attempt], delay_s: float) -> None:
        record = replace(
            CallRecord.queued(call, delivery.sequence),
            state="retrying",
            attempts=tuple(attempts),
            next_attempt_at=datetime.now(UTC) + timedelta(seconds=delay_s),
        )
        await self._commit_record(record, b"")
        self._broker.retry(delivery, delay_s)

    async def die(
        self,
        delivery: Delivery,
        call: QueuedCall,
        attempts: Sequence[Attempt],
        dead: Dead,
        answer: Answer | None,
        most_attempts: int,
    ) -> None:
        death = Death(dead.reason, dead.code, datetime.now(UTC), delivery.sequence, tuple(attempts))
        message = dead_message(DeadLetter(call, death), delivery.data)
        await self._persist(lambda: self._broker.publish(message))
        await self._end(delivery, call, "dead", attempts, answer, most_attempts)

    async def cancelled(self, delivery: Delivery, call: QueuedCall, attempts: Sequence[Attempt]) -> None:
        """The door removed the message and said so; only what came of the last attempt is added."""
        record = replace(
            CallRecord.queued(call, delivery.sequence),
            state="cancelled",
            attempts=tuple(attempts),
            ended_at=datetime.now(UTC),
        )
        await self._commit_record(record, b"")
        self._broker.ack(delivery)

    async def finish(
        self, delivery: Delivery, call: QueuedCall, record: CallRecord, answer: bytes, most_attempts: int
    ) -> None:
        """The record was written, perhaps not what follows it."""
        if record.state != "cancelled":
            await self._call_back(call, record, answer, most_attempts)
        self._broker.ack(delivery)

    async def _end(
        self,
        delivery: Delivery,
        call: QueuedCall,
        state: Literal["succeeded", "dead"],
        attempts: Sequence[Attempt],
        answer: Answer | None,
        most_attempts: int,
    ) -> None:
        result, body = await self._result(call, delivery, answer) if answer else (None, b"")
        record = CallRecord(
            call_id=call.call_id,
            function=call.function,
            state=state,
            accepted_at=call.accepted_at,
            sequence=delivery.sequence,
            attempts=tuple(attempts),
            ended_at=datetime.now(UTC),
            correlation_id=call.correlation_id,
            trace_id=call.trace_id,
            result=result,
            callback_url=call.callback_url,
        )
        await self._commit_record(record, body)
        await self._call_back(call, record, body, most_attempts)
        self._broker.ack(delivery)

    async def _result(self, call: QueuedCall, delivery: Delivery, answer: Answer) -> tuple[Result, bytes]:
        size = len(answer.body)
        if size <= CLAIM_CHECK_BYTES:
            return Result(answer.status, answer.headers, size), answer.body
        name = f"{call.call_id}.{delivery.sequence}"
        await self._persist(lambda: store_answer(self._broker, OBJECTS_RESULTS, name, answer.body))
        return Result(answer.status, answer.headers, size, name), b""

    async def _call_back(self, call: QueuedCall, record: CallRecord, body: bytes, most_attempts: int) -> None:
        if call.callback_url is None:
            return
        note = CallbackNote.of(record, call.callback_url, most_attempts)
        await self._persist(lambda: self._broker.publish(callback_message(note, body)))

    async def _commit_record(self, record: CallRecord, body: bytes) -> None:
        await self._persist(lambda: self._commit.submit(record_message(record, body)))

    async def _persist(self, store: Callable[[], Awaitable[object]]) -> None:
        pause_s = AGAIN_S
        while True:
            try:
                await store()
                return
            except Unavailable as error:
                self._log.warning("not written yet", error=str(error))
                await asyncio.sleep(pause_s)
                pause_s = min(AGAIN_MOST_S, pause_s * 2)
