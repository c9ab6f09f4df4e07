"""Where a function's output goes: one ndjson file a function, JSON as it is, any other text wrapped as `output`."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tidemill.lib.log import timestamp
from tidemill.runtime.output import line_start

ROTATE_BYTES = 16 << 20
"""A file that has grown to this becomes `NAME.ndjson.1`, in place of the one before."""
LINE_BYTES = 256 * 1024
"""A line without an end is cut here."""
PIPE_BYTES = 256 * 1024
"""What a replica may be ahead of the spawner before its writes wait."""
PAUSE_S = 0.02
"""Between two reads of a pipe; at 12,000 calls a second, a quarter of it fills meanwhile."""


def as_event(line: bytes, *, ref: str, instance: str, stream: str) -> bytes:
    """One line of a replica's output as one JSON line, without its end."""
    if line.startswith(line_start(instance)) and line.endswith(b"}"):
        return line
    event: dict[str, Any] = {
        "ts": timestamp(),
        "level": "info" if stream == "stdout" else "warning",
        "source": "fn",
        "event": "output",
        "function": ref,
    }
    parsed = _object(line)
    if parsed is None:
        event.update(stream=stream, text=line.decode(errors="replace"))
    else:
        event.update(parsed)
    event["instance"] = instance
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _object(line: bytes) -> dict[str, Any] | None:
    if not line.startswith(b"{"):
        return None
    try:
        parsed = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _refuse(constant: str) -> None:
    """NaN and its like, which Python reads and JSON has not."""
    raise ValueError(constant)


class LogFile:
    """Appends whole lines; rotates by size. A full disk loses lines, never the function."""

    def __init__(self, path: Path, *, rotate_bytes: int = ROTATE_BYTES) -> None:
        self._path = path
        self._rotate_bytes = rotate_bytes
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = self._open()
        self._size = os.fstat(self._descriptor).st_size
        self.lost_bytes = 0

    def append(self, lines: bytes) -> None:
        try:
            if self._size and self._size + len(lines) > self._rotate_bytes:
                self._rotate()
            self._size += os.write(self._descriptor, lines)
        except OSError:
            self.lost_bytes += len(lines)

    def close(self) -> None:
        os.close(self._descriptor)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def _rotate(self) -> None:
        """Where no new file can be made, the old one is still there to be written to."""
        with contextlib.suppress(FileNotFoundError):  # removed by somebody, or moved by a rotation that failed
            os.replace(self._path, self._path.with_name(self._path.name + ".1"))
        opened = self._open()
        os.close(self._descriptor)
        self._descriptor, self._size = opened, 0


def open_pipe() -> tuple[int, int]:
    """Read end and write end."""
    reading, writing = os.pipe()
    with contextlib.suppress(OSError):  # a limit of the user's: the kernel's default size does too
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return reading, writing


class OutputPump:
    """Reads one stream of one replica to its end. After each read it lets the pipe fill for a while: a wake-up per
    line would cost the machine a fifth of what a quick call costs."""

    def __init__(
        self, descriptor: int, *, append: Callable[[bytes], None], ref: str, instance: str, stream: str
    ) -> None:
        self._descriptor = descriptor
        self._append = append
        self._ref, self._instance, self._stream = ref, instance, stream
        self._rest = b""
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        os.set_blocking(descriptor, False)
        self._loop.add_reader(descriptor, self._read_and_pause)

    def drain(self) -> None:
        """Everything that is in the pipe by now."""
        while self._descriptor >= 0 and self._read():
            pass

    def _read_and_pause(self) -> None:
        self._read()
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            self._pause = self._loop.call_later(PAUSE_S, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._descriptor, self._read_and_pause)

    def _read(self) -> bool:
        """Whether there may be more at once."""
        try:
            data = os.read(self._descriptor, PIPE_BYTES)
        except BlockingIOError:
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_BYTES or (not data and self._rest):
            lines, self._rest = [*lines, self._rest], b""
        self._write([line for line in lines if line.strip()])
        if not data:
            self._close()
        return bool(data)

    def _write(self, lines: list[bytes]) -> None:
        if lines:
            events = [as_event(line, ref=self._ref, instance=self._instance, stream=self._stream) for line in lines]
            self._append(b"\n".join(events) + b"\n")

    def _close(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1
