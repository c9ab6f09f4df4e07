"""Settings of a platform that disturbs no other: a folder and ports of its own."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from tidemill.lib.settings import Settings

QUIET_PORTS = range(20_000, 32_000)
"""Below those that Linux gives to outgoing connections, which could take one between the look and its use."""


def free_ports(count: int) -> list[int]:
    """Different loopback ports that nothing listens on at this moment."""
    found: list[int] = []
    for port in random.sample(QUIET_PORTS, len(QUIET_PORTS)):
        if _is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("this machine has no free ports")


def settings_in(folder: Path) -> Settings:
    gateway, metrics, nats, mongo, s3 = free_ports(5)
    return Settings(
        data_dir=folder / "data",
        gateway_port=gateway,
        metrics_port=metrics,
        nats_port=nats,
        mongo_port=mongo,
        s3_port=s3,
    )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
