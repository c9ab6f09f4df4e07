"""What a process uses, read from /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

MEMORY_AGE_S = 5.0
"""The kernel walks all pages for the memory of a process (1 to 10 ms), and someone asks for it every second."""
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Meter:
    """Memory and CPU of one process; both None when it is gone."""

    def __init__(self, pid: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pid = pid
        self._clock = clock
        self._memory: int | None = None
        self._measured_at = -MEMORY_AGE_S
        self._cpu_then: float | None = None

    def cpu_seconds(self) -> float | None:
        try:
            fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def memory_bytes(self) -> int | None:
        """Its proportional share (PSS): what forked replicas have in common is counted once. Not measured again where
        it was just now, or where the process has done nothing since."""
        cpu, now = self.cpu_seconds(), self._clock()
        if cpu is None:
            return None
        if cpu != self._cpu_then and now - self._measured_at >= MEMORY_AGE_S:
            self._memory, self._measured_at, self._cpu_then = _pss_bytes(self._pid), now, cpu
        return self._memory


def _pss_bytes(pid: int) -> int | None:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
