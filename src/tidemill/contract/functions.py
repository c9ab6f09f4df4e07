"""The OpenFaaS function types on the wire (faas-provider `types/`), parsed strictly and printed as Go reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tidemill.contract.errors import BadRequest
from tidemill.contract.names import DEFAULT_NAMESPACE, FunctionRef
from tidemill.contract.units import parse_cpu_cores, parse_memory_bytes


def rfc3339(when: datetime) -> str:
    """RFC 3339 with zone, which strict Go clients need; naive datetimes are refused."""
    if when.tzinfo is None:
        raise ValueError("a naive datetime has no place on the wire")
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class FunctionDeployment:
    """What POST and PUT /system/functions carry. `as_wire()` round-trips every field."""

    service: str
    image: str
    namespace: str = DEFAULT_NAMESPACE
    env_process: str | None = None
    env_vars: Mapping[str, str] = field(default_factory=dict)
    constraints: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] | None = None
    requests: Mapping[str, str] | None = None
    read_only_root_filesystem: bool = False

    @property
    def ref(self) -> FunctionRef:
        return FunctionRef(self.service, self.namespace)

    @classmethod
    def from_wire(cls, body: Any) -> FunctionDeployment:
        """Raises BadRequest naming the field."""
        if not isinstance(body, dict):
            raise BadRequest("the body must be a JSON object")
        for key in ("service", "image"):
            if not isinstance(body.get(key), str) or not body[key]:
                raise BadRequest(f"{key} is required")
        deployment = cls(
            service=body["service"],
            image=body["image"],
            namespace=_text(body, "namespace") or DEFAULT_NAMESPACE,
            env_process=_text(body, "envProcess"),
            env_vars=_strings(body, "envVars"),
            constraints=_list(body, "constraints"),
            secrets=_list(body, "secrets"),
            labels=_strings(body, "labels"),
            annotations=_strings(body, "annotations"),
            limits=_resources(body, "limits"),
            requests=_resources(body, "requests"),
            read_only_root_filesystem=bool(body.get("readOnlyRootFilesystem", False)),
        )
        _ = deployment.ref  # refuses names that are not DNS labels
        return deployment

    def as_wire(self) -> dict[str, Any]:
        wire: dict[str, Any] = {"service": self.service, "image": self.image, "namespace": self.namespace}
        wire.update(self.optional_wire())
        return wire

    def optional_wire(self) -> dict[str, Any]:
        """The keys that FunctionDeployment and FunctionStatus share; absent where empty."""
        pairs: dict[str, Any] = {
            "envProcess": self.env_process,
            "envVars": dict(self.env_vars),
            "constraints": list(self.constraints),
            "secrets": list(self.secrets),
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
            "limits": dict(self.limits) if self.limits else None,
            "requests": dict(self.requests) if self.requests else None,
            "readOnlyRootFilesystem": self.read_only_root_filesystem,
        }
        return {key: value for key, value in pairs.items() if value}


@dataclass(frozen=True, slots=True)
class FunctionStatus:
    """What GET /system/functions and /system/function/{name} answer."""

    deployment: FunctionDeployment
    replicas: int
    available_replicas: int
    invocation_count: float
    created_at: datetime
    usage_cpu_millicores: float | None = None
    usage_memory_bytes: float | None = None

    def as_wire(self) -> dict[str, Any]:
        deployment = self.deployment
        wire: dict[str, Any] = {
            "name": deployment.service,
            "image": deployment.image,
            "namespace": deployment.namespace,
            **deployment.optional_wire(),
            "replicas": self.replicas,
            "availableReplicas": self.available_replicas,
            "invocationCount": self.invocation_count,
            "createdAt": rfc3339(self.created_at),
        }
        wire["labels"] = {**deployment.labels, "faas_function": deployment.service}
        wire["annotations"] = dict(deployment.annotations)  # Go clients follow this pointer without a look
        if self.usage_cpu_millicores is not None and self.usage_memory_bytes is not None:
            wire["usage"] = {"cpu": self.usage_cpu_millicores, "totalMemoryBytes": self.usage_memory_bytes}
        return wire


def _text(body: Mapping[str, Any], key: str) -> str | None:
    value = body.get(key)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"{key} must be a string")
    return value or None


def _strings(body: Mapping[str, Any], key: str) -> dict[str, str]:
    value = body.get(key) or {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise BadRequest(f"{key} must be an object of strings")
    return value


def _list(body: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = body.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadRequest(f"{key} must be a list of strings")
    return tuple(value)


def _resources(body: Mapping[str, Any], key: str) -> dict[str, str] | None:
    value = _strings(body, key)
    for name, parse in (("memory", parse_memory_bytes), ("cpu", parse_cpu_cores)):
        if value.get(name):
            try:
                parse(value[name])
            except ValueError as cause:
                raise BadRequest(f"{key}.{name}: {cause}") from cause
    return {name: text for name, text in value.items() if text} or None
