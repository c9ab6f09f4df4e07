"""What a service prints, kept as JSON lines in a file that does not grow without end."""

from __future__ import annotations

import asyncio
import io
import re
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from tidemill.lib.log import timestamp

if TYPE_CHECKING:
    from typing_extensions import Buffer

ROTATE_BYTES = 20 * 1024 * 1024
KEEP_FILES = 3
"""Older ones beside the current: `NAME.ndjson.1` is the youngest."""
LONGEST_LINE_BYTES = 256 * 1024
"""A longer one is cut here: whoever prints it without an end must not fill our memory."""
LONGEST_SHOWN_BYTES = 500
LAST_LINES = 12
"""Remembered for the one who asks why a service does not start."""

_SEVERITY = re.compile(r'(?P<error>\[(?:ERR|FTL|ALERT)\]|"s":"[EF]")|\[(?:WRN|WARNING)\]|"s":"W"')


class Output:
    """The log of one service. A full disk loses lines and is counted; it never stops the service."""

    def __init__(self, source: str, path: Path, *, rotate_bytes: int = ROTATE_BYTES) -> None:
        self.source = source
        self.path = path
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self.lost_bytes = 0
        self._rotate_bytes = rotate_bytes
        self._awaited = b""
        self._logged = asyncio.Event()
        self._alarming: tuple[bytes, ...] = ()
        self._alarm: asyncio.Future[str] | None = None
        self._rest = b""
        self._open()

    def watch_for(self, event: str) -> asyncio.Event:
        """Set when the next of our log lines with this event comes."""
        self._awaited = b'"event":' + orjson.dumps(event)
        self._logged = asyncio.Event()
        return self._logged

    def alarm_at(self, texts: Sequence[str]) -> asyncio.Future[str]:
        """Has the next line that holds one of these texts, once it comes."""
        self._alarming = tuple(text.encode() for text in texts)
        self._alarm = asyncio.get_running_loop().create_future()
        return self._alarm

    def feed(self, chunk: bytes) -> None:
        """Bytes as they arrive; whole lines are written at once, the rest is kept for the next chunk."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > LONGEST_LINE_BYTES:
            lines.append(self._rest)
            self._rest = b""
        self._write(lines)

    def end(self) -> None:
        """The process ended: what came without a newline is a line too."""
        rest, self._rest = self._rest, b""
        self._write([rest] if rest else [])

    def close(self) -> None:
        self.end()
        self._file.close()

    def _write(self, lines: list[bytes]) -> None:
        kept = [line if _is_ours(line) else self._wrap(line) for line in lines if line.strip()]
        if not kept:
            return
        if self._awaited and any(self._awaited in line for line in lines if _is_ours(line)):
            self._awaited = b""
            self._logged.set()
        if self._alarm is not None and not self._alarm.done():
            self._look_for_alarm(lines)
        self.last_lines.extend(_readable(line) for line in lines if line.strip() and not _is_frame(line))
        block = b"\n".join(kept) + b"\n"
        try:
            if self._file.closed:  # the disk was full in the middle of a rotation
                self._open()
            if self._size + len(block) > self._rotate_bytes:
                self._rotate()
            self._size += self._file.write(block)
        except OSError:
            self.lost_bytes += len(block)

    def _look_for_alarm(self, lines: list[bytes]) -> None:
        assert self._alarm is not None
        alarming = [line for line in lines if any(text in line for text in self._alarming)]
        if alarming:
            self._alarm.set_result(_readable(alarming[0]))

    def _wrap(self, line: bytes) -> bytes:
        text = line.decode(errors="replace").rstrip()
        return orjson.dumps(
            {"ts": timestamp(), "level": _level(text), "source": self.source, "event": "output", "text": text}
        )

    def _rotate(self) -> None:
        self._file.close()
        for number in range(KEEP_FILES, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            younger = self.path if number == 1 else self.path.with_name(f"{self.path.name}.{number - 1}")
            if younger.exists():
                younger.replace(older)
        self._open()

    def _open(self) -> None:
        self._file = self.path.open("ab", buffering=0)
        self._size = self._file.tell()


class LossyFile(io.FileIO):
    """A file for log lines of our own: what a full disk does not take is lost, and nothing is raised."""

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(memoryview(data))


def _level(text: str) -> str:
    """As nats-server, HAProxy and mongod mark it."""
    if found := _SEVERITY.search(text[:200]):
        return "error" if found["error"] else "warning"
    return "info"


def _is_ours(line: bytes) -> bool:
    """Our log lines start so (lib.log); parsing each would cost more than writing it."""
    return line.startswith(b'{"ts":') and line.endswith(b"}")


def _is_frame(line: bytes) -> bool:
    """mongod prints a line per frame of its stack, which would drive out what it died of."""
    return b'"msg":"Frame"' in line


def _readable(line: bytes) -> str:
    return line[:LONGEST_SHOWN_BYTES].decode(errors="replace").rstrip()
