"""One service kept running: started, watched until ready, started again when it dies, stopped when told.

starting ─► ready ─┐
    ▲   └──────────┴─► waiting ─► starting …        any ─► stopping ─► stopped
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tidemill.embedded.children import Child, memory_bytes
from tidemill.embedded.output import Output
from tidemill.embedded.probes import Probe
from tidemill.embedded.restart import decide_restart
from tidemill.embedded.service import Logs, Service, ServiceStatus
from tidemill.lib.log import Logger, timestamp

FIRST_LOOK_S = 0.01
MOST_LOOK_S = 0.1
"""Between two looks whether a service is ready: short at first, as most are ready soon."""
LEAST_FREE_BYTES = 64 * 1024 * 1024
"""Below it servers fail in ways that name anything but the disk."""


class Runner:
    """The life of one service. `run` returns after `stop`; a death is news, not an error."""

    def __init__(
        self,
        service: Service,
        *,
        environ: Mapping[str, str],
        cwd: Path,
        logs_dir: Path,
        log: Logger,
        changed: Callable[[], None],
    ) -> None:
        self.service = service
        self._environ = {**environ, **service.environ}
        self._cwd = cwd
        self._log = log
        self._changed = changed
        self._output = Output(service.name, logs_dir / f"{service.name}.ndjson")
        self._child: Child | None = None
        self._stopping = asyncio.Event()
        self._asked = asyncio.Event()
        """A start or the stop was asked for: a death is then no news, and no pause is kept."""
        self._deaths_in_a_row = 0
        self._restarts = 0
        self._reason = ""
        self._state = "starting"
        self._since = timestamp()

    @property
    def state(self) -> str:
        return self._state

    def status(self, *, with_memory: bool = False) -> ServiceStatus:
        pid = self._child.pid if self._child else None
        settled = self._state == "ready"
        return ServiceStatus(
            name=self.service.name,
            state=self._state,
            pid=pid,
            restarts=self._restarts,
            since=self._since,
            last_lines=() if settled else tuple(self._output.last_lines),
            reason="" if settled else self._reason,
            memory_bytes=memory_bytes(pid) if with_memory and pid else None,
        )

    async def run(self) -> None:
        try:
            while not self._stopping.is_set():
                started = time.monotonic()
                self._enter("starting")
                await self._live()
                if not self._asked.is_set():
                    await self._wait_to_restart(lived_s=time.monotonic() - started)
                if not self._stopping.is_set():
                    self._asked.clear()
        finally:
            self._enter("stopped")
            self._output.close()

    async def stop(self) -> None:
        """The service is told to end, and killed where it does not within its grace. Returns when it is gone."""
        if self._state == "stopped":
            return
        self._stopping.set()
        self._asked.set()
        self._enter("stopping")
        await self._end_child()

    async def restart(self) -> None:
        """The process ends as at a stop and is started again at once, with a clean record."""
        self._deaths_in_a_row = 0
        self._asked.set()
        await self._end_child()

    async def _live(self) -> None:
        """From start to death of one process."""
        ready = self.service.ready
        # Before it can have printed anything.
        looks_ready = self._output.watch_for(ready.event).wait if isinstance(ready, Logs) else partial(_until, ready)
        try:
            self._child = self._start(self.service.argv)
        except OSError as cause:
            self._reason = f"{self.service.argv[0]} cannot be started: {cause}"
            return
        self._changed()
        alarm = self._output.alarm_at(self.service.broken_at)
        watches = [
            asyncio.create_task(self._watch_readiness(looks_ready)),
            asyncio.create_task(self._end_when_broken(alarm)),
        ]
        try:
            self._reason = _how_it_ended(await self._child.wait())
            if alarm.done():
                self._reason = f"it had to be ended, since it said: {alarm.result()}"
        finally:
            self._child = None
            self._output.end()
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)

    def _start(self, argv: tuple[str, ...]) -> Child:
        return Child(argv, environ=self._environ, cwd=self._cwd, on_output=self._output.feed)

    async def _watch_readiness(self, looks_ready: Callable[[], Coroutine[Any, Any, object]]) -> None:
        await looks_ready()
        if self.service.after_start and not await self._run_after_start(self.service.after_start):
            return
        if self._state == "starting":
            self._enter("ready")

    async def _end_when_broken(self, alarm: asyncio.Future[str]) -> None:
        said = await alarm
        self._log.error("service broken", service=self.service.name, said=said)
        await self._end_child()

    async def _run_after_start(self, argv: tuple[str, ...]) -> bool:
        """Whether it did its work; where not, the service is ended, and all is tried again."""
        command = self._start(argv)
        try:
            code = await command.wait()
        finally:
            command.signal(signal.SIGKILL)  # where the service died meanwhile
        if code and self._child is not None:
            self._log.error("after start failed", service=self.service.name, command=argv, code=code)
            self._child.signal(self.service.stop_signal)
        return code == 0

    async def _wait_to_restart(self, *, lived_s: float) -> None:
        decision = decide_restart(deaths_in_a_row=self._deaths_in_a_row, lived_s=lived_s)
        self._deaths_in_a_row = decision.deaths_in_a_row
        self._restarts += 1
        if (full := _full_disk(self._cwd)) is not None:
            self._reason = f"{self._reason}; {full}"
        self._log.warning(
            "service died",
            service=self.service.name,
            reason=self._reason,
            lived_s=round(lived_s, 3),
            restarts=self._restarts,
            delay_s=decision.delay_s,
        )
        self._enter("waiting")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._asked.wait(), decision.delay_s)

    async def _end_child(self) -> None:
        child = self._child
        if child is None:
            return
        child.signal(self.service.stop_signal)
        try:
            await asyncio.wait_for(child.wait(), self.service.stop_grace_s)
        except TimeoutError:
            self._log.warning("service killed", service=self.service.name, grace_s=self.service.stop_grace_s)
            child.signal(signal.SIGKILL)
            await child.wait()

    def _enter(self, state: str) -> None:
        if state != self._state or state == "starting":
            self._state = state
            self._since = timestamp()
            self._changed()


async def _until(probe: Probe) -> None:
    pause_s = FIRST_LOOK_S
    while not await probe.holds():
        await asyncio.sleep(pause_s)
        pause_s = min(MOST_LOOK_S, pause_s * 1.5)


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        return f"it was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was ended by signal {-code}"


def _full_disk(folder: Path) -> str | None:
    space = os.statvfs(folder)
    free = space.f_bavail * space.f_frsize
    return f"the disk of {folder} is full ({free // 2**20} MiB free)" if free < LEAST_FREE_BYTES else None
