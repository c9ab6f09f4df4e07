"""The identifiers of the call in hand, carried by a context variable from the first line of a call to its last.

`bind` at the start of a call; everything logged below it carries the ids; `outgoing` gives the headers that a
further hop needs.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass

from tidemill.contract import headers

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
"""Invalid by W3C Trace Context."""
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


@dataclass(frozen=True, slots=True)
class Call:
    """Who is being served. Empty strings where unknown."""

    call_id: str = ""
    correlation_id: str = ""
    trace_id: str = ""
    """32 hex digits (W3C Trace Context)."""
    span_id: str = ""
    """16 hex digits: the caller's span."""
    function: str = ""
    """`name.namespace`."""
    attempt: int = 1

    def as_fields(self) -> dict[str, str | int]:
        """Log fields; absent where unknown."""
        fields: dict[str, str | int] = {
            name: value
            for name in ("call_id", "correlation_id", "trace_id", "function")
            if (value := getattr(self, name))
        }
        if self.call_id:
            fields["attempt"] = self.attempt
        return fields


_current: ContextVar[Call | None] = ContextVar("tidemill_call", default=None)


def current() -> Call:
    """The call in hand; an empty one outside of any."""
    return _current.get() or Call()


class bind:  # a context manager, read as a verb; a class because each warm call pays for it
    """`with bind(call):` makes it the call in hand inside the block."""

    __slots__ = ("_call", "_token")
    _token: Token[Call | None]

    def __init__(self, call: Call) -> None:
        self._call = call

    def __enter__(self) -> Call:
        self._token = _current.set(self._call)
        return self._call

    def __exit__(self, *exc_info: object) -> None:
        _current.reset(self._token)


def from_headers(incoming: Mapping[str, str], *, function: str = "") -> Call:
    """The call that these request headers belong to; `incoming` is looked up as written and in lower case."""

    def get(name: str) -> str:
        return incoming.get(name) or incoming.get(name.lower()) or ""

    return from_values(
        call_id=get(headers.CALL_ID),
        correlation_id=get(headers.CORRELATION_ID),
        traceparent=get(headers.TRACEPARENT),
        attempt=get(headers.ATTEMPT),
        function=function,
    )


def from_values(*, call_id: str, correlation_id: str, traceparent: str, attempt: str, function: str) -> Call:
    """The call that these values of headers say; empty where there is none. Values that are no ids are dropped, so
    that a log line cannot be forged through a header."""
    trace = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if trace and (trace[1] == _NO_TRACE or trace[2] == _NO_SPAN):
        trace = None
    return Call(
        call_id=call_id if _ID.fullmatch(call_id) else "",
        correlation_id=correlation_id if _ID.fullmatch(correlation_id) else "",
        trace_id=trace[1] if trace else "",
        span_id=trace[2] if trace else "",
        function=function,
        attempt=max(1, int(attempt)) if attempt.isascii() and attempt.isdigit() and len(attempt) < 6 else 1,
    )


def outgoing(call: Call | None = None) -> dict[str, str]:
    """Headers for a further hop of the same user action: correlation id and a child span; not the call id, which
    belongs to one invocation."""
    call = call or current()
    found = {}
    if call.correlation_id:
        found[headers.CORRELATION_ID] = call.correlation_id
    if call.trace_id:
        found[headers.TRACEPARENT] = f"00-{call.trace_id}-{secrets.token_hex(8)}-01"
    return found
