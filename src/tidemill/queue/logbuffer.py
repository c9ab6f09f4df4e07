"""Standard output for thousands of log lines a second: what comes within a moment is written at once.

A line is lost only where the process is killed within that moment; what must not be lost is in the broker.
"""

from __future__ import annotations

import asyncio
import io
import sys
from typing import IO

from typing_extensions import Buffer

MOMENT_S = 0.05


class BufferedOutput(io.BytesIO):
    """For `Logger(stream=…)`, used from one event loop."""

    def __init__(self, target: IO[bytes] | None = None) -> None:
        super().__init__()
        self._target = target or sys.stdout.buffer
        self._lines: list[bytes] = []

    def write(self, line: Buffer) -> int:
        if not self._lines:
            asyncio.get_running_loop().call_later(MOMENT_S, self.write_out)
        self._lines.append(bytes(line))
        return len(self._lines[-1])

    def flush(self) -> None:
        """The moment does it."""

    def write_out(self) -> None:
        """Now; at the latest before the process ends."""
        lines, self._lines = self._lines, []
        if lines:
            self._target.write(b"".join(lines))
            self._target.flush()
