"""What the edge should look like: the functions and the backend in which each of them lives. Pure.

Kept beside the rendered files as JSON, so that whoever comes next (an HAProxy or a control service that starts anew,
with other ports perhaps) goes on from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from tidemill.contract.names import FunctionRef
from tidemill.contract.traffic import Server, Target

SPARE = 128
"""Backends declared ahead of need. When they run out, HAProxy is reloaded once with as many more. A reload fails no
call, but the log lines of the calls that the old worker still has are lost; a backend costs 10 kB."""


@dataclass(frozen=True, slots=True)
class Picture:
    """`places[ref]` is the number of the backend, below `pool`, in which `targets[ref]` lives."""

    targets: Mapping[FunctionRef, Target] = field(default_factory=dict)
    places: Mapping[FunctionRef, int] = field(default_factory=dict)
    pool: int = SPARE

    def following(self, targets: Mapping[FunctionRef, Target]) -> Picture:
        """The picture of `targets`. Functions keep their place, newcomers take the lowest free one; the pool grows
        by whole SPAREs and never shrinks, since each change of it costs a reload."""
        places = {ref: place for ref, place in self.places.items() if ref in targets}
        taken = set(places.values())
        free = (place for place in range(len(targets) + len(taken)) if place not in taken)
        places |= {ref: next(free) for ref in sorted(targets, key=str) if ref not in places}
        needed = max(places.values(), default=-1) + 1
        pool = self.pool
        while pool < needed:
            pool += SPARE
        return Picture(dict(targets), places, pool)

    def servers(self) -> dict[int, dict[str, Server]]:
        """By place, then by name."""
        return {
            self.places[ref]: {server.name: server for server in target.servers}
            for ref, target in self.targets.items()
        }

    def as_json(self) -> str:
        functions = [
            {"place": self.places[ref], **asdict(target), "ref": str(ref)}
            for ref, target in sorted(self.targets.items(), key=lambda item: str(item[0]))
        ]
        return json.dumps({"pool": self.pool, "functions": functions}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Picture:
        wire = json.loads(text)
        targets: dict[FunctionRef, Target] = {}
        places: dict[FunctionRef, int] = {}
        for function in wire["functions"]:
            ref = FunctionRef.parse(function.pop("ref"))
            places[ref] = function.pop("place")
            servers = tuple(Server(**server) for server in function.pop("servers"))
            targets[ref] = Target(ref, servers, **{**function, "routes": tuple(function["routes"])})
        return cls(targets, places, wire["pool"])
