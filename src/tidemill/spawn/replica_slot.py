"""One slot at work: feeds what happens to the decider (slots.py) and does what it says. Nothing is decided here."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tidemill.contract.errors import NotFound
from tidemill.contract.replicas import ReplicaSpec, ReplicaStatus
from tidemill.lib import log
from tidemill.runtime.wire import ForkOrder, Report
from tidemill.spawn.process import Process
from tidemill.spawn.refusal import Refusal
from tidemill.spawn.slots import (
    KILL_MARGIN_S,
    Action,
    Attention,
    BecameReady,
    Connected,
    CouldNotStart,
    DeadlinePassed,
    Event,
    Exited,
    Left,
    Slot,
    StartAsked,
    State,
    StopAsked,
    attention,
    decide,
)
from tidemill.spawn.zygotes import Zygote, ZygoteDown

SOCKET_MODE = 0o600
"""The edge runs as the same user as the spawner; no function may connect to another one past the edge."""
BACKLOG = 1024
"""Connections that may wait for a fork; the edge hands over far fewer."""

_log = log.get_logger("spawner")


class Place(Protocol):
    """What a slot needs of the spawner to make a process."""

    def prepare(self, spec: ReplicaSpec, slot: int) -> ForkOrder:
        """A new number, a working directory, cgroups. Raises OSError."""
        ...

    def tidy(self, order: ForkOrder) -> None:
        """After the process is gone."""
        ...

    def append_output(self, ref: str, lines: bytes) -> None: ...


class ReplicaSlot:
    """A bound socket and whatever is behind it."""

    def __init__(self, spec: ReplicaSpec, number: int, path: Path, zygote: Zygote, place: Place) -> None:
        self.spec = spec
        self.number = number
        self.path = path
        self._zygote = zygote
        self._place = place
        self._slot = Slot()
        self._process: Process | None = None
        self._leaving: set[Process] = set()
        self._attention = Attention.NONE
        self._refusal: Refusal | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._listener = _bind(path)
        self._attend()

    @property
    def state(self) -> State:
        return self._slot.state

    async def start(self) -> ReplicaStatus:
        """Until it is ready, or failed with a reason; bounded by the decider's START_TIMEOUT_S. Raises NotFound where
        it is dropped meanwhile."""
        await self._until(lambda: self.state is not State.DRAINING)
        if self._closing:
            raise NotFound(f"slot {self.number} of {self.spec.ref} version {self.spec.version} is being dropped")
        self.handle(StartAsked())
        await self._until(lambda: self.state is not State.STARTING)
        return self.status()

    async def stop(self) -> ReplicaStatus:
        """Until no process is left, also none that is leaving by itself; bounded by grace_s."""
        self.handle(StopAsked())
        await self._until(lambda: self._process is None and not self._leaving)
        return self.status()

    async def close(self) -> None:
        """As `stop`, then the socket is gone."""
        self._closing = True
        self.path.unlink(missing_ok=True)
        await self.stop()
        self._listener.close()

    def status(self) -> ReplicaStatus:
        process = self._process
        meter = process.meter if process else None
        return ReplicaStatus(
            ref=self.spec.ref,
            version=self.spec.version,
            slot=self.number,
            socket=str(self.path),
            state=self.state.value,
            pid=process.pid if process else None,
            started_at=process.started_at if process else None,
            restarts=self._slot.restarts,
            reason=self._slot.reason,
            memory_bytes=meter.memory_bytes() if meter else None,
            cpu_seconds=meter.cpu_seconds() if meter else None,
        )

    def handle(self, event: Event) -> None:
        before = self._slot
        self._slot, actions = decide(before, event, self._loop.time(), grace_s=self.spec.grace_s)
        if self._slot.restarts > before.restarts:
            _log.warning("replica lost", function=self.spec.ref, slot=self.number, reason=self._slot.reason)
        self._arm()
        self._attend()
        for action in actions:
            self._do(action)
        self._wake()

    def _do(self, action: Action) -> None:
        if action is Action.FORK:
            self._fork()
        elif self._process is None:
            return  # it is gone already
        elif action is Action.TERMINATE:
            self._process.send(signal.SIGTERM)
        elif action is Action.KILL:
            self._process.send(signal.SIGKILL)
        elif action is Action.LET_GO:
            self._let_go(self._process)

    def _fork(self) -> None:
        try:
            order = self._place.prepare(self.spec, self.number)
        except OSError as error:
            self.handle(CouldNotStart(f"no place for its process: {error}"))
            return
        process = Process(order, self)
        try:
            process.fork(self._zygote, self._listener, self._place.append_output)
        except (OSError, ZygoteDown) as error:
            self._place.tidy(order)
            self.handle(CouldNotStart(str(error)))
        else:
            self._process = process

    def reported(self, process: Process, report: Report) -> None:
        """What a process says on its status pipe."""
        if process is not self._process:
            return
        if report.state == "ready":
            self.handle(BecameReady())
        elif report.state == "failed":
            self.handle(CouldNotStart(report.reason))
        elif report.state == "leaving" and report.reason:
            self.handle(Left(report.reason))

    def exited(self, process: Process, reason: str) -> None:
        self._place.tidy(process.order)
        self._leaving.discard(process)
        if process is self._process:
            self._process = None
            self.handle(Exited(reason))
        else:
            self._wake()

    def _let_go(self, process: Process) -> None:
        self._process = None
        self._leaving.add(process)
        process.end_within(self.spec.grace_s + KILL_MARGIN_S)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._slot.deadline
        self._timer = None if deadline is None else self._loop.call_at(deadline, self.handle, DeadlinePassed())

    def _attend(self) -> None:
        wanted = Attention.NONE if self._closing else attention(self._slot)
        if wanted is self._attention:
            return
        if self._attention is Attention.WATCH:
            self._loop.remove_reader(self._listener)
        elif self._refusal is not None:
            self._refusal.close()
            self._refusal = None
        self._attention = wanted
        if wanted is Attention.WATCH:
            self._loop.add_reader(self._listener, self.handle, Connected())
        elif wanted is Attention.REFUSE:
            retry_after_s = (self._slot.deadline or 0.0) - self._loop.time()
            reason = self._slot.reason or "unknown"
            self._refusal = Refusal(self._listener, ref=self.spec.ref, reason=reason, retry_after_s=retry_after_s)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            future = self._loop.create_future()
            self._waiting.append(future)
            await future

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


def _bind(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    listener.bind(str(path))
    path.chmod(SOCKET_MODE)
    listener.listen(BACKLOG)
    return listener
