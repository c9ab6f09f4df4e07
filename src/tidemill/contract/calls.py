"""An asynchronous call through its life: queued, attempted, ended; and what is kept of one that was given up.

Where each travels, always as one line of JSON:

    TM_QUEUE   header Tm-Call: QueuedCall    payload: the request's body
    TM_CALLS                                 payload: CallRecord, line feed, the answer's body
    TM_DEAD    header Tm-Call: QueuedCall    payload: Death, line feed, the request's body

Attempts may be many, and a message's headers are limited to 64 KiB together: so what has attempts is payload.

Stored messages outlive the code that wrote them: `from_wire` reads every form that was ever written (the golden
messages in tests/unit/queue/golden), and unknown keys are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from tidemill.contract.functions import rfc3339
from tidemill.contract.names import FunctionRef

HEADER_CALL = "Tm-Call"

Headers = tuple[tuple[str, str], ...]
"""HTTP headers in their order; names may repeat."""

State = Literal["queued", "running", "retrying", "succeeded", "dead", "cancelled"]
ENDED: frozenset[State] = frozenset({"succeeded", "dead", "cancelled"})

DeathCode = Literal["attempts_used_up", "gave_up", "function_removed"]


@dataclass(frozen=True, slots=True)
class QueuedCall:
    """A request as the caller made it, without its body."""

    call_id: str
    function: FunctionRef
    method: str
    path: str
    """What follows the function's name; `/` where nothing does."""
    query: str
    headers: Headers
    accepted_at: datetime
    size_bytes: int
    payload_object: str | None = None
    """Claim check: where the body lies in the object store; the message's payload is then empty."""
    callback_url: str | None = None
    correlation_id: str = ""
    trace_id: str = ""

    def header(self, name: str) -> str | None:
        """The first header of that name, compared without case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    def as_wire(self) -> dict[str, Any]:
        wire: dict[str, Any] = {
            "v": 1,
            "call_id": self.call_id,
            "function": str(self.function),
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": self.headers,
            "accepted_at": rfc3339(self.accepted_at),
            "size_bytes": self.size_bytes,
        }
        for key in ("payload_object", "callback_url", "correlation_id", "trace_id"):
            if value := getattr(self, key):
                wire[key] = value
        return wire

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> QueuedCall:
        return cls(
            call_id=wire["call_id"],
            function=_function(wire["function"]),
            method=wire["method"],
            path=wire["path"],
            query=wire["query"],
            headers=_headers(wire["headers"]),
            accepted_at=_moment(wire["accepted_at"]),
            size_bytes=wire["size_bytes"],
            payload_object=wire.get("payload_object"),
            callback_url=wire.get("callback_url"),
            correlation_id=wire.get("correlation_id", ""),
            trace_id=wire.get("trace_id", ""),
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try that ended without success, or the one that succeeded."""

    number: int
    started_at: datetime
    duration_s: float
    status: int | None = None
    """None: no answer came."""
    reason: str | None = None
    carried: bool = True
    """False: the platform turned it away (429, 503) before the function had it."""

    def as_wire(self) -> dict[str, Any]:
        wire: dict[str, Any] = {
            "number": self.number,
            "started_at": rfc3339(self.started_at),
            "duration_s": round(self.duration_s, 6),
        }
        if self.status is not None:
            wire["status"] = self.status
        if self.reason is not None:
            wire["reason"] = self.reason
        if not self.carried:
            wire["carried"] = False
        return wire

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Attempt:
        return cls(
            number=wire["number"],
            started_at=_moment(wire["started_at"]),
            duration_s=wire["duration_s"],
            status=wire.get("status"),
            reason=wire.get("reason"),
            carried=wire.get("carried", True),
        )


@dataclass(frozen=True, slots=True)
class Result:
    """The last answer of a call that ended."""

    status: int
    headers: Headers
    size_bytes: int
    body_object: str | None = None
    """Claim check: where a large answer lies in the object store."""

    @property
    def content_type(self) -> str:
        return next((value for key, value in self.headers if key.lower() == "content-type"), "")

    def as_wire(self) -> dict[str, Any]:
        wire: dict[str, Any] = {"status": self.status, "headers": self.headers, "size_bytes": self.size_bytes}
        if self.body_object:
            wire["body_object"] = self.body_object
        return wire

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Result:
        return cls(wire["status"], _headers(wire["headers"]), wire["size_bytes"], wire.get("body_object"))


@dataclass(frozen=True, slots=True)
class CallRecord:
    """What is known of a call at one moment; the last one in TM_CALLS holds."""

    call_id: str
    function: FunctionRef
    state: State
    accepted_at: datetime
    sequence: int
    """Of the message in TM_QUEUE that this is about: a call id may be used again, a sequence is not."""
    attempts: tuple[Attempt, ...] = ()
    ended_at: datetime | None = None
    next_attempt_at: datetime | None = None
    correlation_id: str = ""
    trace_id: str = ""
    result: Result | None = None
    callback_url: str | None = None

    @classmethod
    def queued(cls, call: QueuedCall, sequence: int) -> CallRecord:
        return cls(
            call_id=call.call_id,
            function=call.function,
            state="queued",
            accepted_at=call.accepted_at,
            sequence=sequence,
            correlation_id=call.correlation_id,
            trace_id=call.trace_id,
            callback_url=call.callback_url,
        )

    def running(self, attempt: int, since: datetime) -> CallRecord:
        """The same call while an attempt is under way."""
        current = Attempt(attempt, since, max(0.0, (datetime.now(UTC) - since).total_seconds()))
        return replace(self, state="running", attempts=(*self.attempts, current), next_attempt_at=None)

    def as_wire(self) -> dict[str, Any]:
        """As stored in TM_CALLS."""
        wire = self.as_state()
        wire["v"] = 1
        wire["sequence"] = self.sequence
        if self.result:
            wire["result"] = self.result.as_wire()
        if self.callback_url:
            wire["callback_url"] = self.callback_url
        return wire

    def as_state(self) -> dict[str, Any]:
        """As the HTTP API answers it; keys that do not apply yet are absent."""
        wire: dict[str, Any] = {
            "call_id": self.call_id,
            "function": str(self.function),
            "state": self.state,
            "attempts": [attempt.as_wire() for attempt in self.attempts],
            "accepted_at": rfc3339(self.accepted_at),
        }
        if self.ended_at:
            wire["ended_at"] = rfc3339(self.ended_at)
        if self.next_attempt_at:
            wire["next_attempt_at"] = rfc3339(self.next_attempt_at)
        if self.correlation_id:
            wire["correlation_id"] = self.correlation_id
        if self.trace_id:
            wire["trace_id"] = self.trace_id
        if self.result:
            wire["result"] = {
                "status": self.result.status,
                "content_type": self.result.content_type,
                "size_bytes": self.result.size_bytes,
            }
        return wire

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> CallRecord:
        return cls(
            call_id=wire["call_id"],
            function=_function(wire["function"]),
            state=wire["state"],
            accepted_at=_moment(wire["accepted_at"]),
            sequence=wire["sequence"],
            attempts=tuple(Attempt.from_wire(attempt) for attempt in wire["attempts"]),
            ended_at=_moment(wire["ended_at"]) if "ended_at" in wire else None,
            next_attempt_at=_moment(wire["next_attempt_at"]) if "next_attempt_at" in wire else None,
            correlation_id=wire.get("correlation_id", ""),
            trace_id=wire.get("trace_id", ""),
            result=Result.from_wire(wire["result"]) if "result" in wire else None,
            callback_url=wire.get("callback_url"),
        )


@dataclass(frozen=True, slots=True)
class Death:
    """Why a call was given up."""

    reason: str
    code: DeathCode
    died_at: datetime
    sequence: int
    """Of the message in TM_QUEUE that died."""
    attempts: tuple[Attempt, ...]

    def as_wire(self) -> dict[str, Any]:
        return {
            "v": 1,
            "reason": self.reason,
            "code": self.code,
            "died_at": rfc3339(self.died_at),
            "sequence": self.sequence,
            "attempts": [attempt.as_wire() for attempt in self.attempts],
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Death:
        return cls(
            reason=wire["reason"],
            code=wire["code"],
            died_at=_moment(wire["died_at"]),
            sequence=wire["sequence"],
            attempts=tuple(Attempt.from_wire(attempt) for attempt in wire["attempts"]),
        )


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A call that was given up, with everything needed to understand it and to queue it again."""

    call: QueuedCall
    death: Death

    def as_summary(self) -> dict[str, Any]:
        """As the HTTP API lists it."""
        call, death = self.call, self.death
        wire: dict[str, Any] = {
            "call_id": call.call_id,
            "function": str(call.function),
            "reason": death.reason,
            "code": death.code,
            "died_at": rfc3339(death.died_at),
            "accepted_at": rfc3339(call.accepted_at),
            "attempts": [attempt.as_wire() for attempt in death.attempts],
            "method": call.method,
            "path": call.path,
            "query": call.query,
            "size_bytes": call.size_bytes,
            "content_type": call.header("Content-Type") or "",
        }
        if call.correlation_id:
            wire["correlation_id"] = call.correlation_id
        if call.trace_id:
            wire["trace_id"] = call.trace_id
        return wire


@lru_cache(maxsize=4096)
def _function(text: str) -> FunctionRef:
    return FunctionRef.parse(text)


def _headers(wire: Any) -> Headers:
    return tuple((name, value) for name, value in wire)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
