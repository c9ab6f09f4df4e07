"""One line of HAProxy's log ring as values, and as the line that is kept. Pure.

HAProxy writes JSON whose values are all strings; `-` stands where it has nothing. Text from a caller is escaped there
already, so a line is one call whatever the caller sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from tidemill.lib.log import timestamp

NO_ANSWER = 499
"""Status told where the caller was gone before there was an answer, as nginx does."""

_DROPPED = re.compile(rb"\s*(\d+) events? dropped\s*")
_PLAIN = ("route", "call_id", "correlation_id", "trace_id", "method", "path", "client")


class BadLine(ValueError):
    """A line of the ring that is no call; the text is shortened."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """HAProxy's own word that it had no room for this many lines."""

    lines: int


@dataclass(frozen=True, slots=True)
class Bell:
    """A line that only had to be written (edge.relay.ring_bell)."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request through the edge. `function` is empty for paths of the platform and unknown functions."""

    function: str
    status: int
    duration_s: float
    fields: dict[str, Any]
    """The line that is kept (docs/architecture.md, Log lines)."""

    def as_line(self) -> bytes:
        return orjson.dumps(self.fields) + b"\n"


def parse(line: bytes) -> Call | Dropped | Bell:
    """Raises BadLine."""
    dropped = _DROPPED.fullmatch(line)
    if dropped:
        return Dropped(int(dropped[1]))
    try:
        told = orjson.loads(line)
    except orjson.JSONDecodeError as cause:
        raise BadLine(repr(line[:200])) from cause
    if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
        raise BadLine(repr(line[:200]))
    if "bell" in told:
        return Bell()
    return _call({name: value for name, value in told.items() if value not in ("", "-")})


def _call(told: dict[str, str]) -> Call:
    function = told.get("function", "")
    status = _number(told, "status")
    status = status if 100 <= status <= 599 else NO_ANSWER
    started_us = _number(told, "start_us")
    # The clock behind the microseconds stands still for moments; the whole milliseconds are HAProxy's own count.
    took_us = max(0, _number(told, "took_us"), _number(told, "took_ms") * 1000)
    fields: dict[str, Any] = {
        "ts": _timestamp(started_us + took_us if started_us > 0 else 0),
        "level": "warning" if status >= 500 else "info",
        "source": "edge",
        "event": "call" if function else "request",
    }
    if function:
        fields["function"] = function
    fields |= {name: told[name] for name in _PLAIN if name in told}
    fields.setdefault("call_id", told.get("unique_id", ""))
    fields |= {
        "attempt": max(1, _number(told, "attempt")),
        "status": status,
        "duration_ms": round(took_us / 1000, 3),
        "queue_ms": max(0, _number(told, "queue_ms")),
        "bytes": max(0, _number(told, "bytes")),
    }
    server = told.get("server", "<NOSRV>")
    if server != "<NOSRV>":
        fields["served_by"] = f"{function}/{server}" if function else server
    if "ended" in told and told["ended"] != "--":
        fields["ended"] = told["ended"]
    return Call(function, status, took_us / 1e6, fields)


def _number(told: dict[str, str], name: str) -> int:
    """0 where there is none."""
    text = told.get(name, "")
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else 0


def _timestamp(unix_us: int) -> str:
    """The moment of the line's end; now where it does not say, or says nonsense."""
    try:
        return timestamp(datetime.fromtimestamp(unix_us / 1e6, UTC) if unix_us > 0 else None)
    except (ValueError, OverflowError):
        return timestamp()
