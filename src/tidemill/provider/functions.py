"""The functions of this platform: deployed, scaled, removed, and brought back after a restart."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from tidemill.contract.errors import FunctionNotFound, TidemillError, Unavailable
from tidemill.contract.functions import FunctionDeployment
from tidemill.contract.names import FunctionRef
from tidemill.contract.tuning import Tuning
from tidemill.lib.log import Logger
from tidemill.provider.backends.base import Backend
from tidemill.provider.background import Background
from tidemill.provider.deployer import Deployer, Settled
from tidemill.provider.namespaces import Namespaces
from tidemill.provider.plan import (
    Plan,
    Put,
    Remember,
    Route,
    Start,
    Step,
    plan_deploy,
    plan_remove,
    plan_resize,
    plan_scale,
    plan_undo,
)
from tidemill.provider.records import FunctionRecord
from tidemill.provider.routing import Live, Routing
from tidemill.provider.store import Document, RecordStore

Clock = Callable[[], datetime]


class Functions:
    """Changes of one function are serialised, those of different ones run side by side. Reads come from memory, so
    they go on while the record store is away; changes then raise Unavailable."""

    def __init__(
        self,
        *,
        backend: Backend,
        routing: Routing,
        store: RecordStore,
        namespaces: Namespaces,
        announce: Callable[[], Awaitable[None]],
        background: Background,
        log: Logger,
        now: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self._backend = backend
        self._routing = routing
        self._store = store
        self._namespaces = namespaces
        self._background = background
        self._log = log
        self._now = now
        self._deployer = Deployer(backend=backend, routing=routing, store=store, announce=announce, log=log)
        self._locks: defaultdict[FunctionRef, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.loaded = False
        """The first reconcile is done."""

    def get(self, ref: FunctionRef) -> Live:
        """Raises FunctionNotFound, Unavailable (before the first reconcile)."""
        self.require_loaded()
        live = self._routing.get(ref)
        if live is None:
            raise FunctionNotFound(ref.name, ref.namespace)
        return live

    def all(self, namespace: str | None = None) -> list[Live]:
        """In the order of their names."""
        self.require_loaded()
        found = (live for ref, live in self._routing.live.items() if namespace in (None, ref.namespace))
        return sorted(found, key=lambda live: str(live.record.ref))

    def require_loaded(self) -> None:
        """Raises Unavailable before the first reconcile."""
        if not self.loaded:
            raise Unavailable("the platform is starting: functions are being brought back", retry_after_s=1)

    @property
    def edge_is_behind(self) -> bool:
        """The edge could not be told of the newest change yet."""
        return self._routing.dirty

    async def deploy(self, deployment: FunctionDeployment, *, must_exist: bool = False) -> FunctionRecord:
        """Returns when the new version serves every call; where that fails the old one goes on untouched. Raises
        BadRequest, RouteClash, FunctionNotFound (`must_exist`), DeployFailed with the reason, Unavailable."""
        ref = deployment.ref
        self.require_loaded()
        self._namespaces.require(ref.namespace)
        tuning = Tuning.of(deployment)
        self._store.require_reachable()
        async with self._locks[ref]:
            current = self._routing.get(ref)
            if must_exist and current is None:
                raise FunctionNotFound(ref.name, ref.namespace)
            with self._routing.claim(ref, tuning.routes):
                record = await self._record(deployment, current.record if current else None)
                await self._replace(record, current)
        self._log.info("deployed", function=str(ref), version=record.version, image=deployment.image)
        return record

    async def scale(self, ref: FunctionRef, replicas: int) -> None:
        """Raises FunctionNotFound, DeployFailed, Unavailable."""
        async with self._locks[ref]:
            live = self.get(ref)
            self._store.require_reachable()
            try:
                await self._change(ref, plan_scale(live.record, replicas=replicas, current_slots=live.slots))
            except BaseException:
                if self._routing.get(ref) is not live:
                    await self._deployer.attempt((Route(ref, live.record, live.slots),))
                raise
        self._log.info("scaled", function=str(ref), replicas=replicas)

    async def resize(self, ref: FunctionRef, wanted: int) -> None:
        """What load calls for. Does nothing while the function is being changed otherwise."""
        if self._locks[ref].locked():
            return
        async with self._locks[ref]:
            live = self._routing.get(ref)
            if live is not None:
                await self._change(ref, plan_resize(live.record, wanted=wanted, current_slots=live.slots))
                self._log.info("resized", function=str(ref), slots=max(1, wanted), replicas=wanted)

    async def remove(self, ref: FunctionRef) -> None:
        """Raises FunctionNotFound, Unavailable."""
        async with self._locks[ref]:
            live = self.get(ref)
            await self._change(ref, plan_remove(live.record))
        self._log.info("removed", function=str(ref))

    async def reconcile(self) -> None:
        """Everything that is recorded is put and routed again, what nobody asked for is dropped. Raises Unavailable
        where the record or the backend cannot be reached."""
        documents = await self._store.all()
        records = [record for key, document in documents.items() if (record := self._read(key, document))]
        records = await asyncio.gather(*(self._refreshed(record, records) for record in records))
        for record in records:
            await self._restore(record)
        await self._tell_edge()
        self.loaded = True
        await self._drop_strangers()

    async def heal(self) -> None:
        """Puts again what a backend that restarted has forgotten. Raises Unavailable."""
        present = {(status.ref, status.version, status.slot) for status in await self._backend.list()}
        lost = [
            live
            for live in self._routing.live.values()
            if not live.sockets
            or any((live.record.spec.ref, live.record.version, slot) not in present for slot in range(live.slots))
        ]
        for live in lost:
            async with self._locks[live.record.ref]:
                if self._routing.get(live.record.ref) is live:
                    self._log.warning("replicas lost", function=str(live.record.ref), version=live.record.version)
                    await self._restore(live.record, slots=live.slots or None)
        if lost or self._routing.dirty:
            await self._tell_edge()
        for live in lost:
            await self.warm(live.record)

    async def tidy(self) -> None:
        """Disk that nothing deployed needs is given back."""
        await self._backend.tidy([live.record for live in self.all()])

    async def warm(self, record: FunctionRecord) -> None:
        """Starts the replicas that are wanted while nobody calls; a function that cannot start says so itself."""
        await self._deployer.attempt(Start(record.spec, slot) for slot in range(record.replicas))

    async def _record(self, deployment: FunctionDeployment, current: FunctionRecord | None) -> FunctionRecord:
        others = {live.record.spec.uid for ref, live in self._routing.live.items() if ref != deployment.ref}
        pinned = await self._backend.pin(deployment.image)
        spec = await self._backend.prepare(
            deployment,
            pinned=pinned,
            uids={uid for uid in others if uid is not None},
            uid=current.spec.uid if current else None,
        )
        return FunctionRecord(
            deployment=deployment,
            pinned=pinned,
            spec=spec,
            replicas=Tuning.of(deployment).scale_min,
            created_at=current.created_at if current else self._now(),
        )

    async def _replace(self, record: FunctionRecord, current: Live | None) -> None:
        old, slots = (current.record, current.slots) if current else (None, 0)
        try:
            await self._change(record.ref, plan_deploy(record, old, current_slots=slots))
        except BaseException:
            routed = self._routing.get(record.ref) is not current
            await self._deployer.attempt(plan_undo(record, old, current_slots=slots, routed=routed))
            raise

    async def _change(self, ref: FunctionRef, plan: Plan) -> None:
        settled = await self._deployer.run(plan.steps)
        self._background.start(self._finish(ref, settled, plan.later))

    async def _finish(self, ref: FunctionRef, settled: Settled, later: tuple[Step, ...]) -> None:
        """Also where the edge is away: a slot is stopped with its calls finished."""
        with suppress(TidemillError):
            await settled
        async with self._locks[ref]:
            await self._deployer.later(later)

    def _read(self, key: str, document: Document) -> FunctionRecord | None:
        """None for a record that cannot be used any more: it must not keep the others from coming back."""
        try:
            record = FunctionRecord.from_document(document)
            _ = record.tuning
        except (KeyError, TypeError, ValueError, TidemillError) as error:
            self._log.error("record cannot be read", function=key, error=f"{type(error).__name__}: {error}")
            return None
        return record

    async def _refreshed(self, record: FunctionRecord, all_records: list[FunctionRecord]) -> FunctionRecord:
        """The record with its environment and source in place: the platform's address or a secret may have changed,
        or somebody tidied a folder. Where that fails the record stays as it was."""
        uids = {other.spec.uid for other in all_records if other.ref != record.ref and other.spec.uid is not None}
        try:
            spec = await self._backend.prepare(
                record.deployment, pinned=record.pinned, uids=uids, uid=record.spec.uid
            )
        except Unavailable:
            raise
        except (TidemillError, OSError) as error:
            self._log.warning("could not prepare", function=str(record.ref), error=str(error))
            return record
        if spec == record.spec:
            return record
        refreshed = replace(record, spec=spec)
        await self._deployer.run((Remember(refreshed),))
        return refreshed

    async def _restore(self, record: FunctionRecord, slots: int | None = None) -> None:
        """Also a function that cannot be put stays known: it is shown, with no replica, and tried again."""
        slots = slots or max(1, record.replicas)
        try:
            await self._deployer.run((Put(record.spec, slots),))
        except Unavailable:
            raise
        except TidemillError as error:
            self._log.error("could not put", function=str(record.ref), error=str(error))
            self._routing.set(record.ref, Live(record, ()))
        else:
            self._deployer.assign(record, slots)

    async def _tell_edge(self) -> None:
        try:
            await self._routing.apply_again()
        except Unavailable as error:
            self._log.warning("edge is away", error=str(error))

    async def _drop_strangers(self) -> None:
        known = {(live.record.spec.ref, live.record.version) for live in self._routing.live.values()}
        for ref, version in {(status.ref, status.version) for status in await self._backend.list()} - known:
            if not self._locks[FunctionRef.parse(ref)].locked():
                await self._backend.drop(ref, version)
