"""What the provider tells the spawner: the process that binds replica slots and forks functions into them.

Spoken over the spawner's unix socket as one JSON object a line; `id` pairs answers with requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ReplicaSpec:
    """All that the spawner needs to make a replica of one version of one function."""

    ref: str
    """`name.namespace`."""
    version: str
    """12 hex digits of the content of source, environment, secrets and settings."""
    kind: str
    """The template that runs it: `python3-http` or `python3-flask`."""
    source_dir: str
    """Folder that holds the package `function/` (handler.py inside)."""
    python: str
    """Interpreter of the function's own environment."""
    env_hash: str
    """Which environment: replicas of one namespace and one environment are forked from one zygote."""
    preload: tuple[str, ...] = ()
    """Modules the zygote imports before it forks: those the requirements brought."""
    environ: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Secret name → path of the file that holds its value."""
    exec_timeout_s: float = 30.0
    grace_s: float = 30.0
    """How long a draining replica may finish what it has (write_timeout)."""
    max_inflight: int = 0
    """0: no limit of the function's own."""
    threads: int = 1
    memory_bytes: int | None = None
    cpu_cores: float | None = None
    uid: int | None = None
    """The function's own user; None where the platform does not run as root."""

    def as_wire(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> ReplicaSpec:
        return cls(**{**wire, "preload": tuple(wire.get("preload", ()))})


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """One slot as the spawner sees it."""

    ref: str
    version: str
    slot: int
    socket: str
    state: str
    """`idle` (bound, no process), `starting`, `ready`, `draining`, `failed` (backing off; `reason` says why)."""
    pid: int | None = None
    started_at: float | None = None
    """Unix seconds."""
    restarts: int = 0
    reason: str | None = None
    memory_bytes: int | None = None
    cpu_seconds: float | None = None

    def as_wire(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> ReplicaStatus:
        return cls(**wire)
