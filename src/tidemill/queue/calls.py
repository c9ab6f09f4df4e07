"""State, result and cancelling of a call. The last record in TM_CALLS tells; where there is none, the message in
TM_QUEUE is what is known: queued. The worker is asked whether it has the call in hand right now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from tidemill.broker.base import Broker, Stored
from tidemill.broker.permissions import CALL_CANCELLED, CALL_RUNNING
from tidemill.broker.streams import OBJECTS_RESULTS
from tidemill.contract import headers
from tidemill.contract.calls import ENDED, CallRecord, State
from tidemill.contract.errors import BadRequest, Conflict, NotFound, Unavailable
from tidemill.contract.names import (
    CALL_ID,
    OBJECTS_PAYLOADS,
    STREAM_CALLS,
    STREAM_QUEUE,
    FunctionRef,
    calls_subject,
)
from tidemill.queue.codec import Unreadable, body_of, head_of, read_call, read_record, record_message
from tidemill.queue.web import Answer, Request, json_answer

RUNNING_TIMEOUT_S = 0.25
LIST_SCAN = 20_000
"""How far back a listing looks."""
LIST_DEFAULT = 100
LIST_MOST = 1000

_STATES: tuple[State, ...] = ("queued", "running", "retrying", "succeeded", "dead", "cancelled")
_NOT_SHOWN = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"})


@dataclass(frozen=True, slots=True)
class _Found:
    record: CallRecord
    message: Stored | None
    """In the queue: the call has not ended."""
    answer: bytes


class Calls:
    """Handlers of `/async-function/CALL-ID…` and `/system/calls`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def show(self, request: Request, given: Mapping[str, str]) -> Answer:
        found = await self._find(given["call_id"])
        record = found.record
        if record.state not in ENDED:
            record = await self._as_running(record)
        return json_answer(record.as_state())

    async def result(self, request: Request, given: Mapping[str, str]) -> Answer:
        found = await self._find(given["call_id"])
        result = found.record.result
        if result is None:
            raise Conflict(f"call {given['call_id']} has no result: it is {found.record.state}")
        body: bytes | None = found.answer
        if result.body_object:
            body = await self._broker.object_get(OBJECTS_RESULTS, result.body_object)
            if body is None:
                raise NotFound("the result is not kept any longer")
        shown = [(name, value) for name, value in result.headers if name.lower() not in _NOT_SHOWN]
        shown = [pair for pair in shown if pair[0].lower() != headers.CALL_ID.lower()]
        return Answer(result.status, [*shown, (headers.CALL_ID, given["call_id"])], body or b"")

    async def cancel(self, request: Request, given: Mapping[str, str]) -> Answer:
        """The record first: a worker that has the call in hand looks at the notice, one that takes it later finds
        no message."""
        found = await self._find(given["call_id"])
        if found.record.state in ENDED:
            raise Conflict(f"call {given['call_id']} has ended: it is {found.record.state}")
        ended = replace(found.record, state="cancelled", ended_at=datetime.now(UTC), next_attempt_at=None)
        await self._broker.publish(record_message(ended))
        await self._broker.notify(CALL_CANCELLED, orjson.dumps({"sequence": ended.sequence}))
        await self._broker.delete(STREAM_QUEUE, ended.sequence)
        if found.message is not None and (name := read_call(found.message).payload_object):
            await self._broker.object_delete(OBJECTS_PAYLOADS, name)
        return Answer(202, [(headers.CALL_ID, given["call_id"])])

    async def recent(self, request: Request, given: Mapping[str, str]) -> Answer:
        function = FunctionRef.parse(given["function"]) if given.get("function") else None
        state = given.get("state") or None
        if state is not None and state not in _STATES:
            raise BadRequest(f"state must be one of {', '.join(_STATES)}")
        limit = read_limit(given)
        records = [record for record in await self._collect(function) if state in (None, record.state)]
        records.sort(key=lambda record: record.accepted_at, reverse=True)
        return json_answer([record.as_state() for record in records[:limit]])

    async def _collect(self, function: FunctionRef | None) -> list[CallRecord]:
        recorded: dict[str, CallRecord] = {}
        for stored in await self._broker.newest(STREAM_CALLS, "tm.calls.*", scan=LIST_SCAN, keep=head_of):
            record = _record(stored)
            if record is not None and function in (None, record.function):
                recorded[record.call_id] = record
        subject = f"tm.queue.{function.namespace}.{function.name}.*" if function else "tm.queue.*.*.*"
        for stored in await self._broker.newest(STREAM_QUEUE, subject, scan=LIST_SCAN, keep=lambda _: b""):
            try:
                queued = CallRecord.queued(read_call(stored), stored.sequence)
            except Unreadable:
                continue
            known = recorded.get(queued.call_id)
            if known is None or known.sequence < queued.sequence:
                recorded[queued.call_id] = queued
        return list(recorded.values())

    async def _find(self, call_id: str) -> _Found:
        """Raises NotFound."""
        if not CALL_ID.fullmatch(call_id):
            raise NotFound("there is no such call")
        message = await self._broker.last(STREAM_QUEUE, f"tm.queue.*.*.{call_id}")
        stored = await self._broker.last(STREAM_CALLS, calls_subject(call_id))
        record = _record(stored) if stored else None
        if message is not None and (record is None or record.sequence < message.sequence):
            record, stored = CallRecord.queued(read_call(message), message.sequence), None
        if record is None:
            raise NotFound(f"there is no call {call_id}")
        return _Found(record, message, body_of(stored) if stored else b"")

    async def _as_running(self, record: CallRecord) -> CallRecord:
        question = orjson.dumps({"sequence": record.sequence})
        try:
            answer = await self._broker.ask(CALL_RUNNING, question, timeout_s=RUNNING_TIMEOUT_S)
        except Unavailable:
            return record
        if not answer:
            return record
        running: Mapping[str, Any] = orjson.loads(answer)
        return record.running(running["attempt"], datetime.fromisoformat(running["since"]))


def read_limit(given: Mapping[str, str]) -> int:
    """Raises BadRequest."""
    text = given.get("limit") or str(LIST_DEFAULT)
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= LIST_MOST:
        raise BadRequest(f"limit must be a number from 1 to {LIST_MOST}")
    return int(text)


def _record(stored: Stored) -> CallRecord | None:
    try:
        return read_record(stored)
    except Unreadable:
        return None
