"""What must change in a running HAProxy so that it agrees with a picture. Pure.

Compared is what HAProxy has, not what it was told: so a repeated, interrupted or forgotten change converges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidemill.contract.names import FunctionRef
from tidemill.contract.traffic import Load
from tidemill.edge.admin import RuntimeBackend
from tidemill.edge.picture import Picture
from tidemill.edge.render import backend_name, server_parameters


@dataclass(frozen=True, slots=True)
class Command:
    """A runtime command and how its answer must begin; nothing is to be said where `says` is empty."""

    text: str
    says: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One server line of a running HAProxy."""

    backend: str
    server: str

    def __str__(self) -> str:
        return f"{self.backend}/{self.server}"


@dataclass(frozen=True, slots=True)
class Plan:
    """First `grow`, then maps, then `shrink`: at no moment does a function lack a server that takes calls."""

    grow: tuple[Command, ...] = ()
    shrink: tuple[Line, ...] = ()
    """Lines to take out of rotation, to wait for, and to delete."""


def plan(picture: Picture, runtime: Mapping[str, RuntimeBackend]) -> Plan:
    wanted = {backend_name(place): servers for place, servers in picture.servers().items()}
    grow: list[Command] = []
    shrink: list[Line] = []
    for place in range(picture.pool):
        backend = backend_name(place)
        present = runtime[backend].servers
        servers = wanted.get(backend, {})
        for name, server in servers.items():
            line = Line(backend, name)
            if name not in present:
                grow.append(Command(f"add server {line} {server_parameters(server)}", "New server registered"))
                grow.append(Command(f"set server {line} state ready"))
                continue
            if present[name].max_connections != server.max_connections:
                grow.append(Command(f"set maxconn server {line} {server.max_connections}"))
            if not present[name].ready:
                grow.append(Command(f"set server {line} state ready"))
        shrink += (Line(backend, name) for name in present if name not in servers)
    return Plan(tuple(grow), tuple(shrink))


def needs_reload(before: Picture, after: Picture) -> bool:
    """A server that kept its name and moved to another socket: no runtime command can follow it."""
    old, new = before.servers(), after.servers()
    return any(
        name in new.get(place, {}) and new[place][name].socket != server.socket
        for place, servers in old.items()
        for name, server in servers.items()
    )


def loads(picture: Picture, runtime: Mapping[str, RuntimeBackend]) -> dict[FunctionRef, Load]:
    """The counters of every function whose backend runs."""
    return {
        ref: Load(
            in_flight=sum(server.in_flight for server in backend.servers.values()),
            queued=backend.queued,
            total=backend.total,
        )
        for ref, place in picture.places.items()
        if (backend := runtime.get(backend_name(place)))
    }
