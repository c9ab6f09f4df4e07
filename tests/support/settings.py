"""Settings of a platform that disturbs no other: a folder and ports of its own."""

from __future__ import annotations

import socket
from pathlib import Path

from tidemill.lib.settings import Settings


def free_ports(count: int) -> list[int]:
    """Different loopback ports that nothing listens on at this moment."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


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
