"""The loop that looks at the edge's counters and gives functions the slots they need."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from time import monotonic

from tidemill.contract.errors import TidemillError, Unavailable
from tidemill.contract.names import FunctionRef
from tidemill.contract.traffic import Load, Traffic
from tidemill.lib.log import Logger
from tidemill.provider.background import Background
from tidemill.provider.elastic import Bounds, Watch, decide_slots, is_busy
from tidemill.provider.functions import Functions
from tidemill.provider.routing import Live

CORES = len(os.sched_getaffinity(0))

BUSY_LOOK_S = 0.15
IDLE_LOOK_S = 1.0


class Scaler:
    """Runs until cancelled; an edge that is away is looked for again."""

    def __init__(self, *, functions: Functions, traffic: Traffic, background: Background, log: Logger) -> None:
        self._functions = functions
        self._traffic = traffic
        self._background = background
        self._log = log
        self._watches: dict[tuple[FunctionRef, str], Watch] = {}
        self._resizing: set[FunctionRef] = set()

    async def run(self) -> None:
        while True:
            busy = await self.look(monotonic()) if self._functions.loaded else False
            await asyncio.sleep(BUSY_LOOK_S if busy else IDLE_LOOK_S)

    async def look(self, now: float) -> bool:
        """One look and what follows from it; whether anything is going on. A change may take a moment, so it runs
        aside, and a function is left alone until its last one is done."""
        try:
            loads = await self._traffic.load()
        except Unavailable:
            return False
        wanted, busy = self._decide(loads, now)
        for ref, replicas in wanted.items():
            self._resizing.add(ref)
            self._background.start(self._resize(ref, replicas))
        return busy

    def _decide(self, loads: Mapping[FunctionRef, Load], now: float) -> tuple[dict[FunctionRef, int], bool]:
        wanted: dict[FunctionRef, int] = {}
        watches: dict[tuple[FunctionRef, str], Watch] = {}
        busy = False
        for live in self._functions.all():
            key, load = (live.record.ref, live.record.version), loads.get(live.record.ref)
            if load is None:
                continue
            watch = self._watches.get(key) or Watch(since=now, looked=now, total=load.total)
            busy = busy or is_busy(watch, load)
            watches[key] = watch
            if live.record.ref in self._resizing:
                continue
            watches[key], replicas = decide_slots(watch, load, slots=live.slots, bounds=bounds_of(live), now=now)
            if replicas is not None:
                wanted[live.record.ref] = replicas
        self._watches = watches
        return wanted, busy

    async def _resize(self, ref: FunctionRef, replicas: int) -> None:
        try:
            await self._functions.resize(ref, replicas)
        except TidemillError as error:
            self._log.warning("could not resize", function=str(ref), replicas=replicas, error=str(error))
        finally:
            self._resizing.discard(ref)


def bounds_of(live: Live) -> Bounds:
    tuning = live.record.tuning
    return Bounds(
        threads=tuning.threads,
        rest=live.record.replicas,
        most=max(tuning.scale_max, live.record.replicas),
        cores=CORES,
    )
