"""Decides what a deployment, a scaling or a removal has to do, in which order. Pure: `deployer` does it.

    deploy: put → start slot 0 (is it ready?) → route → remember → announce; later: drop the old version
    scale:  put → start what is new → route → remember → announce; later: stop what is too many
    remove: forget → announce → route; later: drop

Whatever can fail for the user's reasons comes before the first step that a caller could notice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tidemill.contract.functions import FunctionDeployment
from tidemill.contract.names import FunctionRef
from tidemill.contract.replicas import ReplicaSpec
from tidemill.contract.tuning import Tuning
from tidemill.contract.units import parse_cpu_cores, parse_memory_bytes
from tidemill.provider.records import FunctionRecord

VERSION_CHARACTERS = 12


@dataclass(frozen=True, slots=True)
class Put:
    """Slots 0 to `slots` - 1 are bound."""

    spec: ReplicaSpec
    slots: int


@dataclass(frozen=True, slots=True)
class Start:
    """A replica is ready in the slot, or the plan ends here with its reason."""

    spec: ReplicaSpec
    slot: int


@dataclass(frozen=True, slots=True)
class Stop:
    spec: ReplicaSpec
    slot: int


@dataclass(frozen=True, slots=True)
class Route:
    """The edge sends the function's calls to these slots; `record` None: nowhere."""

    ref: FunctionRef
    record: FunctionRecord | None
    slots: int


@dataclass(frozen=True, slots=True)
class Remember:
    record: FunctionRecord


@dataclass(frozen=True, slots=True)
class Forget:
    ref: FunctionRef


@dataclass(frozen=True, slots=True)
class Announce:
    """Whoever keeps a list of functions is told that it changed."""


@dataclass(frozen=True, slots=True)
class Drop:
    spec: ReplicaSpec


Step = Put | Start | Stop | Route | Remember | Forget | Announce | Drop


@dataclass(frozen=True, slots=True)
class Plan:
    """`steps` make the change, and the first that fails ends it. `later` follows once no call is under way at slots
    that lost their place; another change may have overtaken it by then, so only steps that still hold are done."""

    steps: tuple[Step, ...]
    later: tuple[Step, ...] = ()


def plan_deploy(new: FunctionRecord, current: FunctionRecord | None, *, current_slots: int = 0) -> Plan:
    """Slots that load called for stay: a rolling update must not lose them while calls come in."""
    slots = max(1, new.replicas, min(current_slots, new.tuning.scale_max))
    later: list[Step] = [Start(new.spec, slot) for slot in range(1, new.replicas)]
    if current is not None and current.version != new.version:
        later.append(Drop(current.spec))
    elif current is not None:
        later += [Stop(new.spec, slot) for slot in range(slots, current_slots)]
    begin = (Put(new.spec, slots), Start(new.spec, 0))
    return Plan((*begin, Route(new.ref, new, slots), Remember(new), Announce()), tuple(later))


def plan_undo(
    new: FunctionRecord, current: FunctionRecord | None, *, current_slots: int, routed: bool
) -> tuple[Step, ...]:
    """After a deployment that failed, before or after the edge was told: everything as it was."""
    back = (Route(new.ref, current, current_slots),) if routed else ()
    drop = () if current is not None and current.version == new.version else (Drop(new.spec),)
    return (*back, *drop)


def plan_scale(record: FunctionRecord, *, replicas: int, current_slots: int) -> Plan:
    """Slot 0 stays bound whatever happens: with no replica behind it the next call makes one."""
    new = replace(record, replicas=replicas)
    slots = max(1, replicas)
    starts = (Start(new.spec, slot) for slot in range(replicas))
    stops = (Stop(new.spec, slot) for slot in range(replicas, max(current_slots, 1)))
    return Plan(
        (Put(new.spec, slots), *starts, Route(new.ref, new, slots), Remember(new), Announce()),
        tuple(stops),
    )


def plan_resize(record: FunctionRecord, *, wanted: int, current_slots: int) -> Plan:
    """What load calls for; not remembered, and new slots start at their first call."""
    slots = max(1, wanted)
    if slots > current_slots:
        return Plan((Put(record.spec, slots), Route(record.ref, record, slots)))
    stops = tuple(Stop(record.spec, slot) for slot in range(wanted, current_slots))
    return Plan((Route(record.ref, record, slots),) if slots < current_slots else (), stops)


def plan_remove(record: FunctionRecord) -> Plan:
    """Once it is forgotten it is gone, whatever becomes of the rest."""
    return Plan((Forget(record.ref), Announce(), Route(record.ref, None, 0)), (Drop(record.spec),))


def make_spec(
    deployment: FunctionDeployment,
    *,
    kind: str,
    python: Path,
    env_hash: str,
    preload: tuple[str, ...],
    source_digest: str,
    functions_dir: Path,
    secrets: Mapping[str, Path],
    secret_digests: Mapping[str, str],
    platform_environ: Mapping[str, str],
    uid: int | None,
) -> ReplicaSpec:
    """The replica of this deployment; its version is a digest of all that a replica could tell apart."""
    tuning = Tuning.of(deployment)
    limits = deployment.limits or {}
    spec = ReplicaSpec(
        ref=str(deployment.ref),
        version="",
        kind=kind,
        source_dir="",
        python=str(python),
        env_hash=env_hash,
        preload=preload,
        environ={**platform_environ, **deployment.env_vars},
        secrets={name: str(path) for name, path in secrets.items()},
        exec_timeout_s=tuning.exec_timeout_s,
        grace_s=tuning.grace_s,
        max_inflight=tuning.max_inflight,
        max_body_bytes=tuning.max_body_bytes,
        threads=tuning.threads,
        memory_bytes=parse_memory_bytes(limits["memory"]) if "memory" in limits else None,
        cpu_cores=parse_cpu_cores(limits["cpu"]) if "cpu" in limits else None,
        uid=uid,
    )
    content = [asdict(spec), source_digest, sorted(secret_digests.items())]
    version = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:VERSION_CHARACTERS]
    folder = functions_dir / deployment.namespace / deployment.service / version
    return replace(spec, version=version, source_dir=str(folder))
