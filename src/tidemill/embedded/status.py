"""What runs now, asked of the supervisor."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidemill.contract.errors import Conflict, Unavailable
from tidemill.embedded.lock import is_locked
from tidemill.embedded.service import ServiceStatus
from tidemill.embedded.talk import talk
from tidemill.lib.settings import Settings

ANSWER_TIMEOUT_S = 10.0
SETTLE_TIMEOUT_S = 180.0
"""Above what an orderly stop may take."""


@dataclass(frozen=True, slots=True)
class Status:
    """The platform at one moment; no services where it does not run."""

    running: bool
    stopping: bool = False
    pid: int | None = None
    services: tuple[ServiceStatus, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    """The environment variables it runs with."""

    @property
    def ready(self) -> bool:
        return self.running and all(service.state == "ready" for service in self.services)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Status:
        return cls(
            running=True,
            stopping=wire["stopping"],
            pid=wire["pid"],
            services=tuple(ServiceStatus.from_wire(service) for service in wire["services"]),
            settings=wire["settings"],
        )


def status(settings: Settings, *, with_memory: bool = False) -> Status:
    """Raises nothing where the platform does not run."""
    try:
        with talk(settings.socket("supervisor"), timeout_s=ANSWER_TIMEOUT_S) as talking:
            return Status.from_wire(talking.ask({"verb": "status", "memory": with_memory}))
    except OSError:
        return Status(running=False)


def settled_status(settings: Settings) -> Status:
    """As `status`, once nobody is starting or stopping it any more. Raises Unavailable where that takes too long."""
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while True:
        now = status(settings)
        if not now.stopping and now.running == is_locked(settings):
            return now
        if time.monotonic() > deadline:
            raise Unavailable(f"another command has been starting or stopping {settings.data_dir} for long")
        time.sleep(0.02)


def require_same(settings: Settings, running: Status) -> None:
    """Raises Conflict where the running platform has other settings than these."""
    wanted = settings.as_env()
    differing = [f"{name}={value}" for name, value in running.settings.items() if wanted.get(name) != value]
    if differing:
        raise Conflict(
            f"the platform runs already, with {', '.join(differing)}", hint="stop it with `tidemill down` first"
        )
