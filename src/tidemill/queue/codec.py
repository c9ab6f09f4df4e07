"""Calls, records and dead letters as messages of the broker, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import orjson

from tidemill.broker.base import Message
from tidemill.contract.calls import (
    HEADER_CALL,
    HEADER_DEATH,
    HEADER_STATE,
    CallRecord,
    DeadLetter,
    Death,
    QueuedCall,
)
from tidemill.contract.names import calls_subject, dead_subject, queue_subject


class Unreadable(Exception):
    """A stored message that this code cannot understand."""


class Kept(Protocol):
    """A delivery or a stored message."""

    @property
    def headers(self) -> Mapping[str, str]: ...


def queue_message(call: QueuedCall, payload: bytes) -> Message:
    return Message(queue_subject(call.function, call.call_id), payload, {HEADER_CALL: _text(call.as_wire())})


def record_message(record: CallRecord, answer: bytes = b"") -> Message:
    return Message(calls_subject(record.call_id), answer, {HEADER_STATE: _text(record.as_wire())})


def dead_message(letter: DeadLetter, payload: bytes) -> Message:
    call = letter.call
    headers = {HEADER_CALL: _text(call.as_wire()), HEADER_DEATH: _text(letter.death.as_wire())}
    return Message(dead_subject(call.function, call.call_id), payload, headers)


def read_call(kept: Kept) -> QueuedCall:
    """Raises Unreadable."""
    try:
        return QueuedCall.from_wire(orjson.loads(kept.headers[HEADER_CALL]))
    except (KeyError, TypeError, ValueError) as cause:
        raise Unreadable(f"the stored call cannot be read: {type(cause).__name__} {cause}") from cause


def read_record(kept: Kept) -> CallRecord:
    """Raises Unreadable."""
    try:
        return CallRecord.from_wire(orjson.loads(kept.headers[HEADER_STATE]))
    except (KeyError, TypeError, ValueError) as cause:
        raise Unreadable(f"the stored state cannot be read: {type(cause).__name__} {cause}") from cause


def read_dead_letter(kept: Kept) -> DeadLetter:
    """Raises Unreadable."""
    try:
        death = Death.from_wire(orjson.loads(kept.headers[HEADER_DEATH]))
    except (KeyError, TypeError, ValueError) as cause:
        raise Unreadable(f"the stored dead letter cannot be read: {type(cause).__name__} {cause}") from cause
    return DeadLetter(read_call(kept), death)


def _text(wire: Mapping[str, object]) -> str:
    """One line: JSON escapes every line break."""
    return orjson.dumps(wire).decode()
