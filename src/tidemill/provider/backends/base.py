"""What runs replicas, as the rest of the provider sees it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from tidemill.contract.functions import FunctionDeployment
from tidemill.contract.replicas import ReplicaSpec, ReplicaStatus
from tidemill.provider.records import FunctionRecord


class Backend(Protocol):
    """Implemented by `process` (the spawner) and `memory` (tests); the same tests pass on both.

    The verbs are those of contract/replicas.py. Every one raises Unavailable where the backend cannot be reached.
    """

    def epoch(self) -> object:
        """Changes when the backend starts anew and so has forgotten everything. Costs nothing to ask."""
        ...

    async def pin(self, image: str) -> str:
        """What the image's name stands for now, under a name that never moves. Raises BadRequest where it is not
        here."""
        ...

    async def prepare(
        self, deployment: FunctionDeployment, *, pinned: str, uids: Collection[int], uid: int | None
    ) -> ReplicaSpec:
        """Everything a replica of this deployment needs is in place afterwards; asking again changes nothing. `uid`
        is the one the function has already, `uids` those of the others. Raises BadRequest (an image or a secret that
        is not here) and DeployFailed (requirements that cannot be installed)."""
        ...

    async def put(self, spec: ReplicaSpec, slots: int) -> list[ReplicaStatus]: ...

    async def start(self, spec: ReplicaSpec, slot: int) -> ReplicaStatus:
        """Returns when the replica is `ready` or has `failed`."""
        ...

    async def stop(self, spec: ReplicaSpec, slot: int) -> ReplicaStatus: ...

    async def drop(self, ref: str, version: str) -> None:
        """Also removes what `prepare` put in place for this version alone."""
        ...

    async def tidy(self, records: Sequence[FunctionRecord]) -> None:
        """Removes what `prepare` once put in place, that none of these needs, and that was not used for a while."""
        ...

    async def list(self) -> list[ReplicaStatus]: ...
