"""Standard output and error of a replica, so that each line in the function's log names the call that wrote it.

A function's `print` becomes an `output` event with the ids of the call in hand. Lines that are log events already
(tidemill.lib.log) get `instance`, and `function` where they lack it. What goes around Python (C code, child
processes) is wrapped by the spawner, without ids.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from typing import Any, BinaryIO, cast

from tidemill.lib import correlation
from tidemill.lib.log import Logger

PARTIAL_LINE_CHARS = 64 * 1024
"""A line without an end is cut here."""


def line_start(instance: str) -> bytes:
    """How every line begins that needs no more of the spawner."""
    return b'{"instance":' + json.dumps(instance).encode() + b","


class EventPipe(io.RawIOBase):
    """Takes whole JSON lines, as `lib.log` writes them; adds who wrote them."""

    def __init__(self, descriptor: int, *, instance: str, ref: str) -> None:
        self._descriptor = descriptor
        self._start = line_start(instance)
        self._function = b'"function":' + json.dumps(ref).encode() + b","
        self._lock = threading.Lock()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, line: bytes, /) -> int:  # type: ignore[override]
        data = line
        if line.startswith(b'{"'):
            named = correlation.current().function
            data = self._start + (b"" if named else self._function) + line[1:]
        with self._lock:  # a pipe takes at most 4 KiB in one piece
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        return len(line)


class PrintedText(io.TextIOBase):
    """Stands in for `sys.stdout` or `sys.stderr`: each line that is printed becomes an event."""

    def __init__(self, events: EventPipe, stream: str) -> None:
        self._events = events
        self._log = Logger("fn", stream=cast(BinaryIO, events))
        self._stream = stream
        self._level = "info" if stream == "stdout" else "warning"
        self._partial = threading.local()

    @property
    def buffer(self) -> EventPipe:
        return self._events

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._events.fileno()

    def write(self, text: str, /) -> int:
        *lines, rest = (getattr(self._partial, "text", "") + text).split("\n")
        if len(rest) > PARTIAL_LINE_CHARS:
            lines, rest = [*lines, rest], ""
        self._partial.text = rest
        for line in lines:
            self._emit(line)
        return len(text)

    def flush(self) -> None:
        """A line that has not ended yet waits for its end: `print("a", end="", flush=True)` is one line later on."""

    def _emit(self, line: str) -> None:
        event = _event_in(line)
        if event is not None:
            self._log.log(event.pop("level", self._level), event.pop("event", "output"), **event)
        elif line.strip():
            self._log.log(self._level, "output", stream=self._stream, text=line)


def _event_in(line: str) -> dict[str, Any] | None:
    """The JSON object that a function with a logging library of its own has printed."""
    if not (line.startswith("{") and line.endswith("}")):
        return None
    try:
        return cast(dict[str, Any], json.loads(line))
    except (ValueError, RecursionError):
        return None


def capture(instance: str, ref: str) -> None:
    """From here on, what this process prints becomes events on descriptors 1 and 2."""
    sys.stdout = PrintedText(EventPipe(1, instance=instance, ref=ref), "stdout")
    sys.stderr = PrintedText(EventPipe(2, instance=instance, ref=ref), "stderr")
