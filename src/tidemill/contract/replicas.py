"""What the provider tells the spawner: the process that binds replica slots and forks functions into them.

Spoken over the spawner's unix socket as one JSON object a line: `{"id": 7, "verb": "put", …}` is answered by
`{"id": 7, "ok": …}` or `{"id": 7, "error": {"error", "code", "hint"?}}`; answers may come in another order.

- `put` (`spec`: ReplicaSpec, `slots`: int ≥ 1) → `[ReplicaStatus]`, one a slot. The slots' sockets are bound and
  watched; asking again changes nothing, a larger `slots` adds some.
- `start` (`ref`, `version`, `slot`) → `ReplicaStatus`. A replica runs in the slot and is `ready`, or it could not:
  then the state is `failed` and `reason` has the last line of its traceback.
- `stop` (`ref`, `version`, `slot`) → `ReplicaStatus`. The replica finished its calls (at most `grace_s`) and is
  gone; the socket stays, the next connection forks anew.
- `drop` (`ref`, `version`) → `null`. As `stop` for every slot, then the sockets are gone; an unknown version is no
  error.
- `list` () → `[ReplicaStatus]`: everything put, with memory and CPU of what runs.

A slot that is connected to while `idle` is forked into at once, without anyone asking. A replica that dies is
forked again at the next connection, with a growing delay where it dies young; while it can't start, the spawner
itself answers on the socket: 503, `X-OpenFaaS-Internal: spawner`, a JSON body with the reason. The spawner keeps
nothing on disk: after a restart it knows nothing, and the provider puts everything again.
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
    max_body_bytes: int | None = None
    """Largest request body of a synchronous call; None: no limit of the replica's own."""
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
