"""What `GET /system/logs` asks for, and which lines answer it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from tidemill.contract.errors import Unprocessable
from tidemill.contract.functions import rfc3339
from tidemill.contract.names import FunctionRef
from tidemill.provider.logfiles import Line
from tidemill.provider.references import function_ref

DEFAULT_SINCE = timedelta(minutes=5)
"""How far back where neither `tail` nor `since` is given, as other providers do."""
_TRUE = ("1", "t", "T", "true", "TRUE", "True")


@dataclass(frozen=True, slots=True)
class LogQuery:
    """One of `function`, `correlation` and `call` is given."""

    function: FunctionRef | None = None
    correlation: str = ""
    call: str = ""
    instance: str = ""
    since: datetime | None = None
    tail: int = 0
    """0: no limit."""
    follow: bool = False

    @classmethod
    def parse(cls, query: Mapping[str, str], *, now: datetime) -> LogQuery:
        """Raises Unprocessable naming the parameter."""
        correlation, call = query.get("correlation", ""), query.get("call", "")
        name = query.get("name", "")
        if not (name or correlation or call):
            raise Unprocessable("name is required (or correlation, or call)")
        tail = _tail(query.get("tail", ""))
        since = _since(query.get("since", ""))
        if since is None and "tail" not in query and not (correlation or call):
            since = now - DEFAULT_SINCE
        return cls(
            function=function_ref(name, query.get("namespace", "")) if name else None,
            correlation=correlation,
            call=call,
            instance=query.get("instance", ""),
            since=since,
            tail=max(tail, 0),
            follow=query.get("follow", "") in _TRUE,
        )

    def wants(self, line: Line) -> bool:
        """Apart from `tail`, which counts."""
        if self.instance and str(line.get("instance", "")) != self.instance:
            return False
        if self.correlation and line.get("correlation_id") != self.correlation:
            return False
        if self.call and line.get("call_id") != self.call:
            return False
        if self.function and (self.correlation or self.call) and line.get("function") != str(self.function):
            return False
        return self.since is None or (when := moment(line)) is None or when >= self.since


def moment(line: Line) -> datetime | None:
    """When the line was written, in UTC; None where it does not say, or nonsense: a function may write its own."""
    try:
        when = datetime.fromisoformat(str(line.get("ts")))
        return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def as_message(line: Line, function: FunctionRef) -> dict[str, Any]:
    """A line of a function's log as faas-cli reads it: what the function printed, or its own JSON as text."""
    text = line.get("text") if line.get("event") == "output" else None
    return {
        "name": function.name,
        "namespace": function.namespace,
        "instance": str(line.get("instance", "")),
        "timestamp": rfc3339(moment(line) or datetime.now(UTC)),
        "text": str(text) if text is not None else orjson.dumps(line).decode(),
    }


def _tail(text: str) -> int:
    try:
        return int(text) if text else 0
    except ValueError:
        raise Unprocessable(f"tail {text[:40]!r} is not a whole number") from None


def _since(text: str) -> datetime | None:
    if not text:
        return None
    # A `+` that was not encoded arrives as a space.
    try:
        when = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise Unprocessable(f"since {text[:40]!r} is not an RFC 3339 time such as 2026-01-02T03:04:05Z") from None
    if when.tzinfo is None:
        raise Unprocessable(f"since {text[:40]!r} has no zone; write it as 2026-01-02T03:04:05Z")
    return when
