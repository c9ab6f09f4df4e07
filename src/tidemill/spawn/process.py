"""One forked replica, from the order to its end: its pipes, its signals, what it reports."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from tidemill.runtime.wire import ForkOrder, Report
from tidemill.spawn.log_files import OutputPump, open_pipe
from tidemill.spawn.usage import Meter
from tidemill.spawn.zygotes import Child, Zygote

REPORT_BYTES = 64 * 1024
"""Longest report."""


class Owner(Protocol):
    """Who is told. `exited` comes once and last."""

    def reported(self, process: Process, report: Report) -> None: ...

    def exited(self, process: Process, reason: str) -> None: ...


class Process:
    def __init__(self, order: ForkOrder, owner: Owner) -> None:
        self.order = order
        self.started_at = time.time()
        self.pid: int | None = None
        self.meter: Meter | None = None
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._signals: list[int] = []
        """Asked for before the pid was known."""
        self._ended = False
        self._kill_timer: asyncio.TimerHandle | None = None
        self._status = -1
        self._heard = b""
        self._pumps: list[OutputPump] = []

    def fork(self, zygote: Zygote, listener: socket.socket, append: Callable[[str, bytes], None]) -> None:
        """Raises OSError or ZygoteDown; nothing of the process is left then."""
        pipes = {name: open_pipe() for name in ("stdout", "stderr", "status")}
        theirs = [listener.fileno(), *(writing for _, writing in pipes.values())]
        try:
            zygote.fork(self.order, theirs, Child(self._forked, self._exited))
        except BaseException:
            for reading, _ in pipes.values():
                os.close(reading)
            raise
        finally:
            for _, writing in pipes.values():
                os.close(writing)
        self._pumps = [
            OutputPump(
                pipes[stream][0],
                append=partial(append, self.order.ref),
                ref=self.order.ref,
                instance=self.order.instance,
                stream=stream,
            )
            for stream in ("stdout", "stderr")
        ]
        self._status = pipes["status"][0]
        os.set_blocking(self._status, False)

    def send(self, number: int) -> None:
        """A signal; one that comes before the fork is done is kept for it."""
        if self._ended:
            return
        if self.pid is None:
            self._signals.append(number)
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def end_within(self, patience_s: float) -> None:
        """It ends by itself; if not, it is killed."""
        self._kill_timer = self._loop.call_later(patience_s, self.send, signal.SIGKILL)

    def _forked(self, pid: int) -> None:
        self.pid = pid
        self.meter = Meter(pid)
        signals, self._signals = self._signals, []
        for number in signals:
            self.send(number)
        self._loop.add_reader(self._status, self._hear)  # not before: whoever hears "ready" wants to know the pid

    def _exited(self, reason: str) -> None:
        self._hear()  # its last words may still be in the pipes
        for pump in self._pumps:
            pump.drain()
        self._ended = True
        if self._kill_timer is not None:
            self._kill_timer.cancel()
        if self._status >= 0:
            self._close_status()
        self._owner.exited(self, reason)

    def _hear(self) -> None:
        if self._status < 0:
            return
        try:
            data = os.read(self._status, REPORT_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._close_status()
        *lines, self._heard = (self._heard + data).split(b"\n")
        self._heard = self._heard[:REPORT_BYTES]
        for line in lines:
            with contextlib.suppress(ValueError, TypeError):  # the pipe is in reach of the function's own code
                self._owner.reported(self, Report.from_line(line))

    def _close_status(self) -> None:
        self._loop.remove_reader(self._status)
        os.close(self._status)
        self._status = -1
