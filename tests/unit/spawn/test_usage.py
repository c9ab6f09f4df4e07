"""What a process uses."""

from __future__ import annotations

import os
import subprocess
import time

from tidemill.spawn.usage import MEMORY_AGE_S, Meter


def test_this_process_uses_something() -> None:
    """Both are measured the first time they are asked for."""
    meter = Meter(os.getpid())
    assert (meter.memory_bytes() or 0) > 1 << 20
    assert (meter.cpu_seconds() or 0) > 0


def test_memory_is_not_measured_at_every_question() -> None:
    """Only after a while, and only where the process has done something meanwhile."""
    now = 100.0
    meter = Meter(os.getpid(), clock=lambda: now)
    first = meter.memory_bytes()
    ballast = bytearray(64 << 20)
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    assert meter.memory_bytes() == first
    now += MEMORY_AGE_S
    assert (meter.memory_bytes() or 0) > (first or 0) + (32 << 20)
    del ballast


def test_process_that_is_gone_uses_nothing() -> None:
    """None, not an error."""
    process = subprocess.Popen(["true"])
    meter = Meter(process.pid)
    process.wait()
    assert (meter.memory_bytes(), meter.cpu_seconds()) == (None, None)
