"""Calls, records and dead letters as messages of the broker, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import orjson

from tidemill.broker.base import Message
from tidemill.contract.calls import HEADER_CALL, Attempt, CallRecord, DeadLetter, Death, QueuedCall
from tidemill.contract.names import calls_subject, dead_subject, queue_subject

MANY_ATTEMPTS = 100
SHORT_REASON_CHARACTERS = 80
"""Of each attempt where there are many: all of them have to fit into one message."""


class Unreadable(Exception):
    """A stored message that this code cannot understand."""


class Kept(Protocol):
    """A delivery or a stored message."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def data(self) -> bytes: ...


def queue_message(call: QueuedCall, payload: bytes) -> Message:
    return Message(queue_subject(call.function, call.call_id), payload, {HEADER_CALL: _text(call.as_wire())})


def record_message(record: CallRecord, answer: bytes = b"") -> Message:
    if len(record.attempts) > MANY_ATTEMPTS:
        record = replace(record, attempts=_shortened(record.attempts))
    return Message(calls_subject(record.call_id), orjson.dumps(record.as_wire()) + b"\n" + answer)


def dead_message(letter: DeadLetter, payload: bytes) -> Message:
    call, death = letter.call, letter.death
    if len(death.attempts) > MANY_ATTEMPTS:
        death = replace(death, attempts=_shortened(death.attempts))
    data = orjson.dumps(death.as_wire()) + b"\n" + payload
    return Message(dead_subject(call.function, call.call_id), data, {HEADER_CALL: _text(call.as_wire())})


def head_of(data: bytes) -> bytes:
    """Of the data of a record or a dead letter all but the body: enough for those who list many."""
    return data.partition(b"\n")[0]


def body_of(kept: Kept) -> bytes:
    """Of a record the answer, of a dead letter the request's."""
    return kept.data.partition(b"\n")[2]


def read_call(kept: Kept) -> QueuedCall:
    """Raises Unreadable."""
    try:
        return QueuedCall.from_wire(orjson.loads(kept.headers[HEADER_CALL]))
    except (KeyError, TypeError, ValueError) as cause:
        raise Unreadable(f"the stored call cannot be read: {type(cause).__name__} {cause}") from cause


def read_record(kept: Kept) -> CallRecord:
    """Raises Unreadable."""
    try:
        return CallRecord.from_wire(orjson.loads(kept.data.partition(b"\n")[0]))
    except (KeyError, TypeError, ValueError) as cause:
        raise Unreadable(f"the stored state cannot be read: {type(cause).__name__} {cause}") from cause


def read_dead_letter(kept: Kept) -> DeadLetter:
    """Raises Unreadable."""
    try:
        death = Death.from_wire(orjson.loads(kept.data.partition(b"\n")[0]))
    except (KeyError, TypeError, ValueError) as cause:
        raise Unreadable(f"the stored dead letter cannot be read: {type(cause).__name__} {cause}") from cause
    return DeadLetter(read_call(kept), death)


def _text(wire: Mapping[str, object]) -> str:
    """One line: JSON escapes every line break."""
    return orjson.dumps(wire).decode()


def _shortened(attempts: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    return tuple(
        replace(attempt, reason=attempt.reason[:SHORT_REASON_CHARACTERS] if attempt.reason else None)
        for attempt in attempts
    )
