"""Structured logs: one JSON object a line, one event name plus fields, the ids of the call in hand added.

    log = get_logger("door")
    log.info("accepted", function="resize.openfaas-fn", bytes=1024)

The lines go to standard output, where whoever started the process keeps them.
"""

from __future__ import annotations

import sys
import traceback
from datetime import UTC, datetime
from typing import IO, Any

from tidemill.lib.correlation import current

try:
    from orjson import OPT_NON_STR_KEYS, dumps

    def _encode(fields: dict[str, Any]) -> bytes:
        return dumps(fields, default=str, option=OPT_NON_STR_KEYS)

except ImportError:  # functions' own environments need not have orjson
    import json

    def _encode(fields: dict[str, Any]) -> bytes:
        return json.dumps(fields, default=str, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


class Logger:
    """Events of one source, such as `door`, `worker` or `fn`. Safe from several threads: a line is one write."""

    def __init__(self, source: str, *, stream: IO[bytes] | None = None) -> None:
        self.source = source
        self._stream = stream

    def debug(self, event: str, /, **fields: Any) -> None:
        self.log("debug", event, **fields)

    def info(self, event: str, /, **fields: Any) -> None:
        self.log("info", event, **fields)

    def warning(self, event: str, /, **fields: Any) -> None:
        self.log("warning", event, **fields)

    def error(self, event: str, /, **fields: Any) -> None:
        """Inside an `except` block the exception's type, text and traceback are added."""
        kind, value, trace = sys.exc_info()
        if kind is not None:
            fields.setdefault("error", f"{kind.__name__}: {value}")
            fields.setdefault("traceback", "".join(traceback.format_exception(kind, value, trace)))
        self.log("error", event, **fields)

    def log(self, level: str, event: str, /, **fields: Any) -> None:
        """A field may have any name, `self` and `event` as well: functions print their own."""
        line: dict[str, Any] = {"ts": timestamp(), "level": level, "source": self.source, "event": event}
        line.update(current().as_fields())
        line.update(fields)
        stream = self._stream or sys.stdout.buffer
        stream.write(_encode_anything(line) + b"\n")
        stream.flush()


def _encode_anything(fields: dict[str, Any]) -> bytes:
    """A field that JSON cannot hold is written as Python shows it: logging must never be what fails."""
    try:
        return _encode(fields)
    except (TypeError, ValueError, RecursionError):
        return _encode({name: _encodable(value) for name, value in fields.items()})


def _encodable(value: Any) -> Any:
    try:
        _encode({"value": value})
    except (TypeError, ValueError, RecursionError):
        return ascii(value)
    return value


def get_logger(source: str) -> Logger:
    return Logger(source)


def timestamp(when: datetime | None = None) -> str:
    """RFC 3339, UTC, milliseconds."""
    moment = datetime.now(UTC) if when is None else when.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"
