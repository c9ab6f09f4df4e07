"""Does what `plan` decided."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from tidemill.contract.errors import DeployFailed, TidemillError
from tidemill.contract.names import FunctionRef
from tidemill.contract.replicas import ReplicaSpec
from tidemill.lib.log import Logger
from tidemill.provider.backends.base import Backend
from tidemill.provider.plan import Announce, Drop, Forget, Put, Remember, Route, Start, Step, Stop
from tidemill.provider.records import FunctionRecord
from tidemill.provider.routing import EDGE_PATIENCE_S, Live, Routing
from tidemill.provider.store import RecordStore

ROUTE_PATIENCE_S = EDGE_PATIENCE_S + 2.0

Settled = asyncio.Future[None]


class Deployer:
    """A thin runner: one method a step."""

    def __init__(
        self,
        *,
        backend: Backend,
        routing: Routing,
        store: RecordStore,
        announce: Callable[[], Awaitable[None]],
        log: Logger,
    ) -> None:
        self._backend = backend
        self._routing = routing
        self._store = store
        self._announce = announce
        self._log = log
        self._sockets: dict[tuple[str, str], tuple[str, ...]] = {}

    async def run(self, steps: Iterable[Step]) -> Settled:
        """Raises the first step's error; those after it are not done. What is returned is done when no call is under
        way any more at slots that lost their place."""
        settled = _nothing_to_wait_for()
        for step in steps:
            if isinstance(step, Route):
                settled = await self._route(step)
            else:
                await self._do(step)
        return settled

    async def attempt(self, steps: Iterable[Step]) -> None:
        """Every step, whatever becomes of the others: for what follows a change that already holds."""
        for step in steps:
            try:
                await self.run((step,))
            except TidemillError as error:
                self._log.warning("step failed", step=type(step).__name__, error=str(error))

    async def later(self, steps: Iterable[Step]) -> None:
        """As `attempt`, without the steps that a newer change has made wrong."""
        await self.attempt(step for step in steps if self._still_holds(step))

    def assign(self, record: FunctionRecord, slots: int) -> None:
        """Changes the picture without telling the edge: for many functions at once."""
        self._routing.set(record.ref, Live(record, self._slots(record.spec, slots)))

    async def _do(self, step: Step) -> None:
        match step:
            case Put(spec, slots):
                statuses = await self._backend.put(spec, slots)
                self._sockets[spec.ref, spec.version] = tuple(status.socket for status in statuses)
            case Start(spec, slot):
                await self._start(spec, slot)
            case Stop(spec, slot):
                await self._backend.stop(spec, slot)
            case Remember(record):
                await self._store.put(str(record.ref), record.as_document())
            case Forget(ref):
                await self._store.delete(str(ref))
            case Announce():
                await self._announce()
            case Drop(spec):
                await self._backend.drop(spec.ref, spec.version)
                self._sockets.pop((spec.ref, spec.version), None)

    async def _start(self, spec: ReplicaSpec, slot: int) -> None:
        status = await self._backend.start(spec, slot)
        if status.state != "ready":
            raise DeployFailed(f"{spec.ref} did not become ready: {status.reason or status.state}")

    async def _route(self, step: Route) -> Settled:
        """Returns when the edge sends calls to the new slots: at the latest after a while in which nothing went
        wrong, since waiting for long calls at the old ones is no part of a deployment."""
        before = self._routing.get(step.ref)
        live = None if step.record is None else Live(step.record, self._slots(step.record.spec, step.slots))
        self._routing.set(step.ref, live)
        applying = asyncio.ensure_future(self._routing.apply())
        try:
            await asyncio.wait((applying,), timeout=ROUTE_PATIENCE_S)
            if applying.done():
                applying.result()
        except TidemillError:
            self._routing.set(step.ref, before)
            raise
        return applying

    def _still_holds(self, step: Step) -> bool:
        if not isinstance(step, Drop | Stop | Start):
            return True
        live = self._routing.get(FunctionRef.parse(step.spec.ref))
        current = live if live is not None and live.record.version == step.spec.version else None
        if isinstance(step, Drop):
            return current is None
        if current is None:
            return False
        wanted = step.slot < current.record.replicas or 0 < step.slot < current.slots
        return wanted if isinstance(step, Start) else not wanted

    def _slots(self, spec: ReplicaSpec, slots: int) -> tuple[str, ...]:
        return self._sockets[spec.ref, spec.version][:slots]


def _nothing_to_wait_for() -> Settled:
    done = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done
