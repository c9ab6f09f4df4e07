"""Stored messages: read back as they were written, also those of earlier versions."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tidemill.broker.base import MESSAGE_MOST_BYTES, Message, Stored
from tidemill.contract.calls import Attempt, CallRecord, DeadLetter, Death, QueuedCall
from tidemill.contract.names import CLAIM_CHECK_BYTES
from tidemill.queue.codec import (
    Unreadable,
    body_of,
    dead_message,
    queue_message,
    read_call,
    read_dead_letter,
    read_record,
    record_message,
)

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def stored(message: Message) -> Stored:
    return Stored(message.subject, message.data, message.headers, 17, datetime.now(UTC))


def plain(value: Any) -> Any:
    """As JSON would give it back."""
    return json.loads(json.dumps(value))


def test_golden_messages_stay_readable() -> None:
    """What version 1 wrote is read, and written again the same."""
    assert plain(QueuedCall.from_wire(golden("queued-call-v1")).as_wire()) == golden("queued-call-v1")
    assert plain(CallRecord.from_wire(golden("record-v1")).as_wire()) == golden("record-v1")
    assert plain(Death.from_wire(golden("death-v1")).as_wire()) == golden("death-v1")


def test_unknown_keys_are_ignored() -> None:
    """A newer version may have written them."""
    assert QueuedCall.from_wire({**golden("queued-call-v1"), "new": 1}).call_id.startswith("0d1f")
    assert CallRecord.from_wire({**golden("record-v1"), "new": 1}).call_id == "c-1"


def test_messages_round_trip() -> None:
    """Body and description come back whole, whatever bytes the body has."""
    call = QueuedCall.from_wire(golden("queued-call-v1"))
    record = CallRecord.from_wire(golden("record-v1"))
    death = Death.from_wire(golden("death-v1"))
    body = b"\n{}\n\x00\xff"
    queued = stored(queue_message(call, body))
    assert (read_call(queued), queued.data) == (call, body)
    kept = stored(record_message(record, body))
    assert (read_record(kept), body_of(kept)) == (record, body)
    dead = stored(dead_message(DeadLetter(call, death), body))
    assert (read_dead_letter(dead), body_of(dead)) == (DeadLetter(call, death), body)


def test_two_thousand_attempts_fit_into_a_message() -> None:
    """With the largest body that is not claim-checked."""
    when = datetime(2026, 1, 2, tzinfo=UTC)
    many = tuple(Attempt(number, when, 1.234567, 503, "x" * 300, carried=False) for number in range(2000))
    record = replace(CallRecord.from_wire(golden("record-v1")), attempts=many)
    assert len(record_message(record, b"x" * CLAIM_CHECK_BYTES).data) < MESSAGE_MOST_BYTES
    assert len(read_record(stored(record_message(record))).attempts) == 2000


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "{", '{"call_id": 1}'])
def test_what_cannot_be_read_says_so(text: str) -> None:
    """One kind of error, whatever is wrong."""
    message = Stored("s", text.encode() + b"\n", {"Tm-Call": text}, 1, datetime.now(UTC))
    for read in (read_call, read_record, read_dead_letter):
        with pytest.raises(Unreadable):
            read(message)


def test_a_header_is_found_without_case() -> None:
    """The first of its name."""
    call = QueuedCall.from_wire(golden("queued-call-v1"))
    assert call.header("X-OWN") == "é"
    assert call.header("absent") is None
