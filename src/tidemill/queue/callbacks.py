"""Callbacks: a message of its own that holds all that is sent, so that a crash loses none. At least once."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tidemill.broker.base import Broker, Delivery, Message
from tidemill.broker.streams import OBJECTS_RESULTS, callbacks_subject
from tidemill.contract import headers
from tidemill.contract.calls import CallRecord, Headers
from tidemill.contract.errors import BadRequest
from tidemill.invoke.client import Client, InvokeError
from tidemill.invoke.http1 import Answer
from tidemill.lib.log import Logger
from tidemill.queue.callback_url import CallbackRules, CallbackTarget
from tidemill.queue.line import Line
from tidemill.queue.policy import backoff_s

HEADER = "Tm-Callback"
CONSUMER = "callbacks"
AT_ONCE = 16
ATTEMPTS = 8
MIN_WAIT_S = 1.0
MAX_WAIT_S = 120.0
TIMEOUT_S = 30.0
ANSWER_MOST_BYTES = 64 * 1024
"""Nobody reads a callback's answer."""
USER_AGENT = "tidemill-queue-worker"

_NOT_REACHED = 503
"""Function status where no answer ever came (openfaas-compat 4.3)."""
_SET_BY_US = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive", "host", "user-agent"})
_WORTH_ANOTHER = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class CallbackNote:
    """What is told to whom; the answer's body is the message's payload or an object."""

    call_id: str
    function: str
    url: str
    status: int
    headers: Headers
    duration_s: float
    attempts: int
    most_attempts: int
    body_object: str | None
    correlation_id: str

    @classmethod
    def of(cls, record: CallRecord, url: str, most_attempts: int) -> CallbackNote:
        result, last = record.result, record.attempts[-1] if record.attempts else None
        return cls(
            call_id=record.call_id,
            function=str(record.function),
            url=url,
            status=result.status if result else _NOT_REACHED,
            headers=result.headers if result else (),
            duration_s=last.duration_s if last else 0.0,
            attempts=len(record.attempts),
            most_attempts=most_attempts,
            body_object=result.body_object if result else None,
            correlation_id=record.correlation_id,
        )

    def as_wire(self) -> dict[str, Any]:
        wire = {name: getattr(self, name) for name in self.__slots__}
        return {"v": 1, **wire}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> CallbackNote:
        found = {name: wire[name] for name in cls.__slots__}
        found["headers"] = tuple((name, value) for name, value in wire["headers"])
        return cls(**found)

    def request_headers(self) -> list[tuple[str, str]]:
        """The function's own headers, then those that say what this is."""
        ours = [
            (headers.CALL_ID, self.call_id),
            (headers.FUNCTION_NAME, self.function),
            (headers.FUNCTION_STATUS, str(self.status)),
            (headers.DURATION, f"{self.duration_s:.6f}"),
            (headers.RETRY, str(max(0, self.attempts - 1))),
            (headers.RETRY_MAX, str(self.most_attempts)),
            ("User-Agent", USER_AGENT),
        ]
        if self.correlation_id:
            ours.append((headers.CORRELATION_ID, self.correlation_id))
        names = {name.lower() for name, _ in ours} | _SET_BY_US
        return [pair for pair in self.headers if not _is_ours(pair[0].lower(), names)] + ours


def _is_ours(name: str, names: Collection[str]) -> bool:
    """What the function may not say: on the worker's socket the edge believes `X-Tidemill-*`."""
    return name in names or name.startswith("x-tidemill-")


def callback_message(note: CallbackNote, body: bytes) -> Message:
    return Message(callbacks_subject(note.call_id), body, {HEADER: orjson.dumps(note.as_wire()).decode()})


class Callbacks:
    """Delivers them: `deliver` is the work of a Line."""

    def __init__(self, broker: Broker, edge: Client, rules: CallbackRules, log: Logger) -> None:
        self._broker = broker
        self._edge = edge
        self._rules = rules
        self._log = log

    async def deliver(self, line: Line, delivery: Delivery) -> None:
        note = CallbackNote.from_wire(orjson.loads(delivery.headers[HEADER]))
        ids = {"call_id": note.call_id, "correlation_id": note.correlation_id, "attempt": delivery.number}
        try:
            problem, is_final = await self._send(note, delivery.data)
        except BadRequest as error:
            problem, is_final = str(error), True
        if problem is None:
            self._log.info("called back", function=note.function, url=note.url, **ids)
            self._broker.ack(delivery)
        elif is_final or delivery.number >= ATTEMPTS:
            self._log.error("callback given up", function=note.function, url=note.url, reason=problem, **ids)
            self._broker.ack(delivery)
        else:
            delay_s = backoff_s(delivery.number, min_wait_s=MIN_WAIT_S, max_wait_s=MAX_WAIT_S, random=random.random())
            self._log.warning(
                "callback retry", function=note.function, url=note.url, reason=problem, delay_s=delay_s, **ids
            )
            self._broker.retry(delivery, delay_s)

    async def _send(self, note: CallbackNote, payload: bytes) -> tuple[str | None, bool]:
        """What went wrong, and whether another attempt is in vain. Raises BadRequest for a target not allowed."""
        body: bytes | None = payload
        if note.body_object:
            body = await self._broker.object_get(OBJECTS_RESULTS, note.body_object)
        target = self._rules.parse(note.url)
        try:
            answer = await self._post(target, note, body or b"")
        except (InvokeError, OSError) as error:
            return str(error), False
        if answer.status < 400:
            return None, True
        return (
            f"the callback was answered {answer.status}",
            answer.status < 500 and answer.status not in _WORTH_ANOTHER,
        )

    async def _post(self, target: CallbackTarget, note: CallbackNote, body: bytes) -> Answer:
        sent = note.request_headers()
        if target.base is None:
            return await self._edge.request("POST", target.path, headers=sent, body=body, timeout_s=TIMEOUT_S)
        addresses = await self._rules.resolve(target)
        async with Client(target.base, address=addresses[0], answer_most_bytes=ANSWER_MOST_BYTES) as client:
            return await client.request("POST", target.path, headers=sent, body=body, timeout_s=TIMEOUT_S)
