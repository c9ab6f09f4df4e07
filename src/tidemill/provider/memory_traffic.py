"""An edge without HAProxy, for tests: keeps the newest picture and the loads it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from tidemill.contract.errors import Unavailable
from tidemill.contract.names import FunctionRef
from tidemill.contract.traffic import Load, Target


@dataclass
class MemoryTraffic:
    """`reachable = False` plays an HAProxy that is down, a cleared `drained` one whose old slots still have calls."""

    reachable: bool = True
    targets: dict[FunctionRef, Target] = field(default_factory=dict)
    loads: dict[FunctionRef, Load] = field(default_factory=dict)
    pictures: list[dict[FunctionRef, Target]] = field(default_factory=list)
    """Every picture that was applied, in order."""
    drained: asyncio.Event = field(default_factory=asyncio.Event)
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once an `apply` waits for `drained`."""

    def __post_init__(self) -> None:
        self.drained.set()

    async def apply(self, targets: Mapping[FunctionRef, Target]) -> None:
        self._require()
        self.targets = dict(targets)
        self.pictures.append(dict(targets))
        if not self.drained.is_set():
            self.draining.set()
            await self.drained.wait()

    async def load(self) -> Mapping[FunctionRef, Load]:
        self._require()
        return {ref: self.loads.get(ref, Load(0, 0, 0)) for ref in self.targets}

    def _require(self) -> None:
        if not self.reachable:
            raise Unavailable("HAProxy cannot be reached")
