"""A backend without processes, for tests: honours the verbs' promises, and fails where it is told to."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tidemill.contract.errors import BadRequest, NotFound, Unavailable
from tidemill.contract.functions import FunctionDeployment
from tidemill.contract.replicas import ReplicaSpec, ReplicaStatus
from tidemill.provider.plan import make_spec
from tidemill.provider.records import FunctionRecord
from tidemill.provider.secrets import SecretStore, content_digests


@dataclass
class MemoryBackend:
    """`images` maps every image that is "here" to the reason why it does not become ready, or None."""

    images: Mapping[str, str | None]
    secrets: SecretStore
    tags: dict[str, str] = field(default_factory=dict)
    """Names that move: tag → image."""
    reachable: bool = True
    restarts: int = 0
    puts: dict[tuple[str, str], list[ReplicaStatus]] = field(default_factory=dict)
    _reasons: dict[tuple[str, str], str | None] = field(default_factory=dict)

    def epoch(self) -> object:
        return self.restarts

    async def pin(self, image: str) -> str:
        pinned = self.tags.get(image, image)
        if pinned not in self.images:
            raise BadRequest(f"image {image!r} is not one that was built here")
        return pinned

    async def prepare(
        self, deployment: FunctionDeployment, *, pinned: str, uids: Collection[int], uid: int | None
    ) -> ReplicaSpec:
        await self.pin(pinned)
        paths = self.secrets.paths(deployment.namespace, deployment.secrets)
        spec = make_spec(
            deployment,
            kind="python3-http",
            python=Path("/usr/bin/python3"),
            env_hash="memory",
            preload=(),
            source_digest=hashlib.sha256(pinned.encode()).hexdigest(),
            functions_dir=Path("/functions"),
            secrets=paths,
            secret_digests=content_digests(paths),
            platform_environ={},
            uid=uid,
        )
        self._reasons[spec.ref, spec.version] = self.images[pinned]
        return spec

    async def put(self, spec: ReplicaSpec, slots: int) -> list[ReplicaStatus]:
        self._require()
        statuses = self.puts.setdefault((spec.ref, spec.version), [])
        for slot in range(len(statuses), slots):
            socket = f"/run/{spec.ref}/{spec.version}-{slot}.sock"
            statuses.append(ReplicaStatus(spec.ref, spec.version, slot, socket, "idle"))
        return list(statuses)

    async def start(self, spec: ReplicaSpec, slot: int) -> ReplicaStatus:
        reason = self._reasons.get((spec.ref, spec.version))
        state = "failed" if reason else "ready"
        return self._change(spec, slot, state=state, reason=reason, pid=None if reason else 1000 + slot)

    async def stop(self, spec: ReplicaSpec, slot: int) -> ReplicaStatus:
        return self._change(spec, slot, state="idle", reason=None, pid=None)

    async def drop(self, ref: str, version: str) -> None:
        self._require()
        self.puts.pop((ref, version), None)

    async def tidy(self, records: Sequence[FunctionRecord]) -> None:
        """Nothing is kept here but what is put."""

    async def list(self) -> list[ReplicaStatus]:
        self._require()
        return [status for statuses in self.puts.values() for status in statuses]

    def restart(self) -> None:
        """Plays a spawner that died and came back: it knows nothing."""
        self.puts.clear()
        self.restarts += 1

    def _change(
        self, spec: ReplicaSpec, slot: int, *, state: str, reason: str | None, pid: int | None
    ) -> ReplicaStatus:
        self._require()
        statuses = self.puts.get((spec.ref, spec.version))
        if statuses is None or slot >= len(statuses):
            raise NotFound(f"slot {slot} of {spec.ref} {spec.version} was not put")
        statuses[slot] = replace(statuses[slot], state=state, reason=reason, pid=pid)
        return statuses[slot]

    def _require(self) -> None:
        if not self.reachable:
            raise Unavailable("the spawner cannot be reached")
