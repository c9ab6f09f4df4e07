"""What the spawner and a zygote say to each other: JSON messages on a SOCK_SEQPACKET pair, descriptors beside them.

    spawner → zygote   {"fork": order}        with FORK_DESCRIPTORS beside it
    zygote → spawner   {"loaded": [module, …], "failed": {module: reason}}    once, when it may be asked
                       {"forked": number, "pid": pid}  or  {"forked": number, "error": reason}
                       {"exited": number, "status": wait status}

A replica tells its own story on its status pipe, one JSON object a line (`Report`).
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

MESSAGE_BYTES = 256 * 1024
"""Most that one order may take; a function's whole environment is in it."""

FORK_DESCRIPTORS = ("listener", "stdout", "stderr", "status")
"""The order of the descriptors beside `fork`."""


@dataclass(frozen=True, slots=True)
class ForkOrder:
    """All that a replica needs to become itself."""

    number: int
    """Chosen by the spawner; names the process until its end."""
    instance: str
    """`NAME-VERSION-SLOT-NUMBER`: the host name the function sees, and `instance` in its log lines."""
    ref: str
    kind: str
    source_dir: str
    work_dir: str
    """Exists and belongs to the function's user; its home, current and temporary directory."""
    environ: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Secret name → file with its value."""
    exec_timeout_s: float = 30.0
    grace_s: float = 30.0
    max_inflight: int = 0
    max_body_bytes: int | None = None
    threads: int = 1
    uid: int | None = None
    data_bytes: int | None = None
    """Limit on private memory where no cgroup holds it."""
    cgroups: tuple[str, ...] = ()
    """Folders of the cgroups to enter before anything of the function's runs."""

    def as_wire(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> ForkOrder:
        return cls(**{**wire, "cgroups": tuple(wire["cgroups"])})


@dataclass(frozen=True, slots=True)
class Report:
    """One line of a replica's status pipe."""

    state: str
    """`ready`: accepts calls. `failed`: cannot start. `leaving`: accepts no more, finishes what it has, ends."""
    reason: str = ""

    def as_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Report:
        return cls(**json.loads(line))


def send(channel: socket.socket, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Raises OSError: the other side is gone, or the message is over MESSAGE_BYTES, of which it would read a part."""
    data = json.dumps(message).encode()
    if len(data) > MESSAGE_BYTES:
        raise OSError(f"a function's environment and settings may take {MESSAGE_BYTES} bytes, these are {len(data)}")
    socket.send_fds(channel, [data], descriptors)


def receive(channel: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """The next message and its descriptors, which are the caller's to close; None when the other side is gone."""
    data, descriptors, _, _ = socket.recv_fds(channel, MESSAGE_BYTES, len(FORK_DESCRIPTORS))
    return (json.loads(data) if data else None), descriptors
