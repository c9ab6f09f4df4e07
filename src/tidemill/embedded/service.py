"""One service as the supervisor knows it."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidemill.embedded.probes import Probe


@dataclass(frozen=True, slots=True)
class Logs:
    """Ready once it logs this event: for a service that nobody connects to."""

    event: str


@dataclass(frozen=True, slots=True)
class Service:
    """What to run, how to see that it is ready, and how and when to stop it."""

    name: str
    argv: tuple[str, ...]
    ready: Probe | Logs
    stop_stage: int
    """Lower ones are stopped first; all of a stage together."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_grace_s: float = 10.0
    """From the signal to SIGKILL."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """On top of the supervisor's own."""
    broken_at: tuple[str, ...] = ()
    """Whoever prints one of these goes on running but does its work no more, until it is started again."""
    after_start: tuple[str, ...] | None = None
    """A command that runs to its end between the first readiness and being counted as ready."""


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One service at one moment."""

    name: str
    state: str
    """`starting`, `ready`, `waiting` (it died and will be started again), `stopping`, `stopped`."""
    pid: int | None
    restarts: int
    since: str
    """RFC 3339: when it came into this state."""
    last_lines: tuple[str, ...] = ()
    """What it printed last; while it is not ready."""
    reason: str = ""
    """How it died last time; while it is not ready."""
    memory_bytes: int | None = None
    """Proportional share of it and its children; only where asked for."""

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> ServiceStatus:
        return cls(**{**wire, "last_lines": tuple(wire.get("last_lines", ()))})
