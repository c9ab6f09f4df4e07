"""The spawner: every version that was put, its slots, and one zygote per namespace and environment."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import shutil
from dataclasses import dataclass, field

from tidemill.contract.errors import DeployFailed, NotFound
from tidemill.contract.names import FunctionRef
from tidemill.contract.replicas import ReplicaSpec, ReplicaStatus
from tidemill.lib import log
from tidemill.lib.settings import Settings
from tidemill.runtime.wire import ForkOrder
from tidemill.spawn import cgroups
from tidemill.spawn.log_files import LogFile
from tidemill.spawn.replica_slot import ReplicaSlot
from tidemill.spawn.zygotes import Zygote

DATA_ALLOWANCE_BYTES = 128 << 20
"""RLIMIT_DATA counts thread stacks and allocator reserves that are never touched; a function gets them on top."""

_log = log.get_logger("spawner")
_EnvironmentKey = tuple[str, str]
_VersionKey = tuple[str, str]


@dataclass(slots=True)
class Deployed:
    """One version of one function."""

    spec: ReplicaSpec
    environment: _EnvironmentKey
    slots: list[ReplicaSlot] = field(default_factory=list)


class Spawner:
    """The verbs of contract/replicas.py, in one process. Also the place that slots make their processes in."""

    def __init__(self, settings: Settings) -> None:
        self._sockets_dir = settings.run_dir / "s"
        self._work_dir = settings.data_dir / "work"
        self._logs_dir = settings.logs_dir / "fn"
        self._versions: dict[_VersionKey, Deployed] = {}
        self._zygotes: dict[_EnvironmentKey, Zygote] = {}
        self._logs: dict[str, LogFile] = {}
        self._numbers = itertools.count(1)
        self._tidying: set[asyncio.Task[None]] = set()
        self._cgroups = cgroups.find(settings.run_dir.name)
        for folder, mode in ((self._sockets_dir, 0o700), (self._work_dir, 0o711)):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            folder.chmod(mode)

    async def put(self, spec: ReplicaSpec, slots: int) -> list[ReplicaStatus]:
        """Raises DeployFailed where the environment's interpreter cannot be run."""
        deployed = self._versions.get((spec.ref, spec.version))
        if deployed is None:
            deployed = Deployed(spec, self._zygote_for(spec))
            self._versions[spec.ref, spec.version] = deployed
        zygote = self._zygotes[deployed.environment]
        for number in range(len(deployed.slots), slots):
            path = self._sockets_dir / socket_name(spec.ref, spec.version, number)
            deployed.slots.append(ReplicaSlot(deployed.spec, number, path, zygote, self))
        return [slot.status() for slot in deployed.slots]

    async def start(self, ref: str, version: str, slot: int) -> ReplicaStatus:
        return await self._slot(ref, version, slot).start()

    async def stop(self, ref: str, version: str, slot: int) -> ReplicaStatus:
        return await self._slot(ref, version, slot).stop()

    async def drop(self, ref: str, version: str) -> None:
        deployed = self._versions.pop((ref, version), None)
        if deployed is None:
            return
        await asyncio.gather(*(slot.close() for slot in deployed.slots))
        if not any(other.environment == deployed.environment for other in self._versions.values()):
            zygote = self._zygotes.pop(deployed.environment, None)
            if zygote is not None:
                zygote.close()
        if not any(other.spec.ref == ref for other in self._versions.values()):
            log_file = self._logs.pop(ref, None)
            if log_file is not None:
                log_file.close()

    async def list(self) -> list[ReplicaStatus]:
        return [slot.status() for deployed in self._versions.values() for slot in deployed.slots]

    async def close(self) -> None:
        """Drains every replica (each bounded by its grace) and ends the zygotes."""
        await asyncio.gather(*(self.drop(*key) for key in [*self._versions]))
        if self._tidying:
            await asyncio.wait(self._tidying)
        self._cgroups.clear()

    def prepare(self, spec: ReplicaSpec, slot: int) -> ForkOrder:
        number = next(self._numbers)
        name = FunctionRef.parse(spec.ref).name
        instance = f"{name}-{spec.version[:6]}-{slot}-{number}"
        work_dir = self._work_dir / instance
        work_dir.mkdir(mode=0o700)
        if spec.uid is not None:
            os.chown(work_dir, spec.uid, spec.uid)
        return ForkOrder(
            number=number,
            instance=instance,
            ref=spec.ref,
            kind=spec.kind,
            source_dir=spec.source_dir,
            work_dir=str(work_dir),
            environ=spec.environ,
            secrets=spec.secrets,
            exec_timeout_s=spec.exec_timeout_s,
            grace_s=spec.grace_s,
            max_inflight=spec.max_inflight,
            max_body_bytes=spec.max_body_bytes,
            threads=spec.threads,
            uid=spec.uid,
            data_bytes=self._data_limit(spec),
            cgroups=self._cgroups.make(instance, memory_bytes=spec.memory_bytes, cpu_cores=spec.cpu_cores),
        )

    def tidy(self, order: ForkOrder) -> None:
        cgroups.remove(order.cgroups)
        removal = asyncio.to_thread(shutil.rmtree, order.work_dir, ignore_errors=True)
        task = asyncio.get_running_loop().create_task(removal)
        self._tidying.add(task)
        task.add_done_callback(self._tidying.discard)

    def append_output(self, ref: str, lines: bytes) -> None:
        log_file = self._logs.get(ref)
        if log_file is None:
            name = FunctionRef.parse(ref)
            log_file = self._logs[ref] = LogFile(self._logs_dir / name.namespace / f"{name.name}.ndjson")
        log_file.append(lines)

    def _data_limit(self, spec: ReplicaSpec) -> int | None:
        if spec.memory_bytes is None or self._cgroups.memory is not None:
            return None
        return spec.memory_bytes + DATA_ALLOWANCE_BYTES

    def _slot(self, ref: str, version: str, number: int) -> ReplicaSlot:
        """Raises NotFound."""
        deployed = self._versions.get((ref, version))
        if deployed is None or not 0 <= number < len(deployed.slots):
            raise NotFound(f"slot {number} of {ref} version {version} was not put")
        return deployed.slots[number]

    def _zygote_for(self, spec: ReplicaSpec) -> _EnvironmentKey:
        namespace = FunctionRef.parse(spec.ref).namespace
        key = namespace, spec.env_hash
        if key not in self._zygotes:
            zygote = Zygote(f"{namespace}/{spec.env_hash}", spec.python, spec.preload)
            try:
                zygote.start()
            except OSError as error:
                raise DeployFailed(f"the environment's interpreter cannot be run: {error}") from error
            self._zygotes[key] = zygote
        return key


def socket_name(ref: str, version: str, slot: int) -> str:
    """Short, whatever the function is called: a socket's path may not be long."""
    digest = hashlib.sha256(f"{ref}/{version}/{slot}".encode()).hexdigest()
    return f"{digest[:16]}.sock"
