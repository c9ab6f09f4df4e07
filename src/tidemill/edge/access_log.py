"""One line of HAProxy's log ring as values, and as the line that is kept. Pure.

HAProxy writes a JSON array of strings, in the order of `_call`'s parameters; `-` stands where it has nothing. Text
from a caller is escaped there already, so a line is one call whatever the caller sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from tidemill.lib.log import timestamp

NO_ANSWER = 499
"""Status told where the caller was gone before there was an answer, as nginx does."""

_DROPPED = re.compile(rb"\s*(\d+) events? dropped\s*")
_LAST_MOMENT_S = 253402300800
"""The year 10000, which no timestamp can say."""


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
    try:
        told = orjson.loads(line)
    except orjson.JSONDecodeError as cause:
        if dropped := _DROPPED.fullmatch(line):
            return Dropped(int(dropped[1]))
        raise BadLine(repr(line[:200])) from cause
    if type(told) is not list or set(map(type, told)) != {str}:
        raise BadLine(repr(line[:200]))
    if told == ["bell"]:
        return Bell()
    try:
        return _call(*told)
    except TypeError as cause:
        raise BadLine(repr(line[:200])) from cause


def _call(
    function: str,
    route: str,
    call_id: str,
    unique_id: str,
    correlation_id: str,
    trace_id: str,
    attempt: str,
    method: str,
    path: str,
    status: str,
    start_us: str,
    took_us: str,
    took_ms: str,
    queue_ms: str,
    size_bytes: str,
    server: str,
    ended: str,
    client: str,
    /,
) -> Call:
    """Thousands a second come by here: no loops, and nothing is made twice."""
    function = _known(function)
    code = _number(status)
    code = code if 100 <= code <= 599 else NO_ANSWER
    started = _number(start_us)
    # The clock behind the microseconds stands still for moments; the whole milliseconds are HAProxy's own count.
    took = max(0, _number(took_us), _number(took_ms) * 1000)
    fields: dict[str, Any] = {
        "ts": _timestamp(started + took) if started > 0 else timestamp(),
        "level": "warning" if code >= 500 else "info",
        "source": "edge",
    }
    if function:
        fields["event"] = "call"
        fields["function"] = function
    else:
        fields["event"] = "request"
    if route := _known(route):
        fields["route"] = route
    fields["call_id"] = _known(call_id) or _known(unique_id)
    if correlation_id := _known(correlation_id):
        fields["correlation_id"] = correlation_id
    if trace_id := _known(trace_id):
        fields["trace_id"] = trace_id
    if method := _known(method):
        fields["method"] = method
    if path := _known(path):
        fields["path"] = path
    if client := _known(client):
        fields["client"] = client
    fields["attempt"] = max(1, _number(attempt))
    fields["status"] = code
    fields["duration_ms"] = took / 1000
    fields["queue_ms"] = max(0, _number(queue_ms))
    fields["bytes"] = max(0, _number(size_bytes))
    if server != "<NOSRV>" and (server := _known(server)):
        fields["served_by"] = f"{function}/{server}" if function else server
    if ended != "--" and (ended := _known(ended)):
        fields["ended"] = ended
    return Call(function, code, took / 1e6, fields)


def _known(text: str) -> str:
    return "" if text == "-" else text


def _number(text: str) -> int:
    """0 where there is none."""
    try:
        return int(text) if len(text) <= 18 else 0
    except ValueError:
        return 0


def _timestamp(unix_us: int) -> str:
    """The moment of the line's end; now where it says nonsense."""
    seconds, us = divmod(unix_us, 1_000_000)
    return f"{_second(seconds)}.{us // 1000:03d}Z" if seconds < _LAST_MOMENT_S else timestamp()


@lru_cache(16)
def _second(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).replace(tzinfo=None).isoformat()
