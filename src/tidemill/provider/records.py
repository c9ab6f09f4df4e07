"""What is remembered of one deployed function: enough to bring it back after a restart of everything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tidemill.contract.functions import FunctionDeployment, rfc3339
from tidemill.contract.names import FunctionRef
from tidemill.contract.replicas import ReplicaSpec
from tidemill.contract.tuning import Tuning


@dataclass(frozen=True, slots=True)
class FunctionRecord:
    """One function as it was accepted: the deployment, and the version that serves it."""

    deployment: FunctionDeployment
    pinned: str
    """What the deployment's image stood for when it was accepted; a tag may have moved since."""
    spec: ReplicaSpec
    replicas: int
    """How many are wanted when nothing is going on: scale.min at deploy, then what was asked for by scaling."""
    created_at: datetime

    @property
    def ref(self) -> FunctionRef:
        return self.deployment.ref

    @property
    def version(self) -> str:
        return self.spec.version

    @property
    def tuning(self) -> Tuning:
        return Tuning.of(self.deployment)

    def as_document(self) -> dict[str, Any]:
        return {
            "deployment": self.deployment.as_wire(),
            "pinned": self.pinned,
            "spec": self.spec.as_wire(),
            "replicas": self.replicas,
            "created_at": rfc3339(self.created_at),
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> FunctionRecord:
        return cls(
            deployment=FunctionDeployment.from_wire(document["deployment"]),
            pinned=document["pinned"],
            spec=ReplicaSpec.from_wire(document["spec"]),
            replicas=document["replicas"],
            created_at=datetime.fromisoformat(document["created_at"]).astimezone(UTC),
        )
