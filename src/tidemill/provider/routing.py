"""The picture of which function is served by which slots, and its way to the edge."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tidemill.contract.errors import RouteClash, Unavailable
from tidemill.contract.names import FunctionRef
from tidemill.contract.routes import Route
from tidemill.contract.traffic import Server, Target, Traffic
from tidemill.provider.records import FunctionRecord

EDGE_RETRY_S = 0.2
EDGE_PATIENCE_S = 5.0
"""How long a change waits for an edge that is restarting."""


@dataclass(frozen=True, slots=True)
class Live:
    """A function as it is served now."""

    record: FunctionRecord
    sockets: tuple[str, ...]
    """One a slot that the edge sends calls to."""

    @property
    def slots(self) -> int:
        return len(self.sockets)

    def target(self) -> Target:
        tuning = self.record.tuning
        servers = tuple(
            Server(f"{self.record.version}-{slot}", socket, tuning.prefetch)
            for slot, socket in enumerate(self.sockets)
        )
        return Target(
            ref=self.record.ref,
            servers=servers,
            routes=tuple(str(route) for route in tuning.routes),
            timeout_s=tuning.exec_timeout_s,
            max_body_bytes=tuning.max_body_bytes,
        )


class Routing:
    """Owns the picture and tells the edge of every change of it."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._live: dict[FunctionRef, Live] = {}
        self._claims: dict[FunctionRef, tuple[Route, ...]] = {}
        self._changed = 0
        self._applied = 0

    @property
    def live(self) -> dict[FunctionRef, Live]:
        """A copy."""
        return dict(self._live)

    @property
    def dirty(self) -> bool:
        """The edge could not be told about the newest picture yet."""
        return self._applied < self._changed

    def get(self, ref: FunctionRef) -> Live | None:
        return self._live.get(ref)

    def set(self, ref: FunctionRef, live: Live | None) -> None:
        """Changes the picture; `apply` tells the edge."""
        if live is None:
            self._live.pop(ref, None)
        else:
            self._live[ref] = live
        self._changed += 1

    @contextmanager
    def claim(self, ref: FunctionRef, routes: tuple[Route, ...]) -> Iterator[None]:
        """Holds `routes` for a deployment under way, so that two at once cannot get the same one. Raises RouteClash
        naming both functions."""
        for holder, held in self._held_routes():
            if holder == ref:
                continue
            for route in routes:
                if any(route.clashes(other) for other in held):
                    raise RouteClash(str(route), holder=str(holder), claimant=str(ref))
        self._claims[ref] = routes
        try:
            yield
        finally:
            del self._claims[ref]

    async def apply(self) -> None:
        """The edge agrees with the newest picture, and slots that are not in it have no call any more. Raises
        Unavailable after having tried for a while."""
        deadline = asyncio.get_running_loop().time() + EDGE_PATIENCE_S
        while True:
            included = self._changed
            try:
                # The edge takes pictures in the order in which they are handed over; nothing is awaited in between.
                await self._traffic.apply({ref: live.target() for ref, live in self._live.items()})
            except Unavailable:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(EDGE_RETRY_S)
            else:
                self._applied = max(self._applied, included)
                return

    async def apply_again(self) -> None:
        """For an edge that may have forgotten."""
        self._changed += 1
        await self.apply()

    def _held_routes(self) -> list[tuple[FunctionRef, tuple[Route, ...]]]:
        served = [(ref, live.record.tuning.routes) for ref, live in self._live.items()]
        return served + list(self._claims.items())
