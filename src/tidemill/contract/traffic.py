"""What the provider tells the edge: which replicas serve which function, and which routes lead there.

The provider owns this picture; the edge makes HAProxy agree with it. It is declarative: the whole
picture is applied each time, and applying it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tidemill.contract.names import FunctionRef


@dataclass(frozen=True, slots=True)
class Server:
    """One replica slot: a socket that is bound whether or not a replica lives behind it."""

    name: str
    """Unique within the function, stable for the slot's life: `VERSION-SLOT`."""
    socket: str
    """Absolute path of the unix socket, at most 97 characters."""
    max_connections: int
    """How many calls the edge hands to it at once; the rest wait in the edge's queue."""


@dataclass(frozen=True, slots=True)
class Target:
    """A deployed function as the edge sees it."""

    ref: FunctionRef
    servers: tuple[Server, ...]
    routes: tuple[str, ...] = ()
    """Patterns such as `GET /items/{id}`, from the annotation com.tidemill.route."""
    timeout_s: float = 30.0
    """exec_timeout; past it the edge answers 504."""
    max_body_bytes: int = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Load:
    """The edge's own counters for one function, read at one moment."""

    in_flight: int
    queued: int
    total: int
    """Calls since the edge started."""


class Traffic(Protocol):
    """The edge, as the provider sees it. Implemented in tidemill.edge; joined in services/control."""

    async def apply(self, targets: Mapping[FunctionRef, Target]) -> None:
        """Make the edge agree with `targets`; returns when new servers take calls and removed ones are
        drained (bounded by the function's timeout) and gone. Raises Unavailable where HAProxy cannot be
        reached: the rendered configuration is then already on disk and holds from its next start."""
        ...

    async def load(self) -> Mapping[FunctionRef, Load]:
        """Raises Unavailable."""
        ...
