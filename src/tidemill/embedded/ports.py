"""Whether the platform's ports are free, asked before anything starts: a server's own message names no setting."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

from tidemill.contract.errors import BadRequest, Conflict
from tidemill.lib.settings import Settings


@dataclass(frozen=True, slots=True)
class Port:
    """One port, and how a user moves it."""

    number: int
    host: str
    purpose: str
    variable: str
    flag: str


class PortTaken(Conflict):
    """Another program listens on a port that the platform needs."""

    code = "port_taken"

    def __init__(self, port: Port) -> None:
        super().__init__(
            f"port {port.number} ({port.purpose}) is taken by another program on {port.host}",
            hint=f"`ss -ltnp sport = :{port.number}` shows which; end it, or choose another port with {port.flag} "
            f"or {port.variable}",
        )
        self.port = port


def ports(settings: Settings) -> tuple[Port, ...]:
    """Those that this platform listens on; servers of the user's own have theirs."""
    here = "127.0.0.1"
    listed = [
        Port(settings.gateway_port, settings.bind_host, "gateway", "TIDEMILL_GATEWAY_PORT", "--gateway-port"),
        Port(settings.metrics_port, settings.bind_host, "metrics", "TIDEMILL_METRICS_PORT", "--metrics-port"),
        Port(settings.nats_port, here, "nats", "TIDEMILL_NATS_PORT", "--nats-port"),
    ]
    if settings.mongodb_uri is None:
        listed.append(Port(settings.mongo_port, here, "mongo", "TIDEMILL_MONGO_PORT", "--mongo-port"))
    if settings.s3_endpoint is None:
        listed.append(Port(settings.s3_port, here, "objects", "TIDEMILL_S3_PORT", "--s3-port"))
    return tuple(listed)


def require_free(settings: Settings) -> None:
    """Raises PortTaken for the first that is not, BadRequest for one that we may not have."""
    for port in ports(settings):
        try:
            _bind_once(port)
        except OSError as cause:
            if cause.errno == errno.EADDRINUSE:
                raise PortTaken(port) from cause
            raise BadRequest(
                f"cannot listen on {port.host}:{port.number} ({port.purpose}): {cause.strerror}",
                hint=f"choose another with {port.flag} or {port.variable}, or another address with TIDEMILL_BIND",
            ) from cause


def _bind_once(port: Port) -> None:
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections don't count
        probe.bind((port.host, port.number))
