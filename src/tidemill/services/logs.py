"""The log reader: HAProxy's log ring → access.ndjson, counts, and the gateway's metrics on :8082."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from tidemill.contract.errors import Unavailable
from tidemill.edge.access_file import AccessFile
from tidemill.edge.admin import AdminSocket
from tidemill.edge.haproxy import installed_picture, rejected_dir
from tidemill.edge.metrics import Gateway, Moment
from tidemill.edge.plan import loads
from tidemill.edge.relay import haproxy_figures, replicas, ring_bell
from tidemill.lib.log import Logger, get_logger
from tidemill.lib.settings import Settings

SNAPSHOT_EVERY_S = 5.0
HANG_UP_S = 1.0
PAUSE_S = 0.02
"""Between two reads of the ring while there is little to read: a wake-up per line would compete with the calls
themselves for the processor. HAProxy keeps what comes meanwhile."""
PLENTY_BYTES = 16 * 1024
"""A read of this much means that more is waiting."""
LONGEST_LINE_BYTES = 64 * 1024
"""HAProxy cuts at 8 KiB; anything longer is not its."""


@dataclass(slots=True)
class LogService:
    """What the ring's connections and the scrapes share."""

    settings: Settings
    file: AccessFile
    gateway: Gateway
    log: Logger
    rings: set[Ring] = field(default_factory=set)

    async def hang_up(self) -> None:
        """Take what HAProxy has sent already and let it know that more is not taken: it stays in its ring."""
        for ring in self.rings:
            ring.stop_receiving()
        if self.rings:
            await asyncio.wait([ring.closed for ring in self.rings], timeout=HANG_UP_S)
        await asyncio.to_thread(ring_bell, self.settings)

    async def snapshots(self) -> None:
        while True:
            await asyncio.sleep(SNAPSHOT_EVERY_S)
            try:
                self.file.snapshot()
            except OSError as error:
                self.log.warning("counts not kept", error=str(error))

    async def answer(self, scope: Any, protocol: Any) -> None:
        """RSGI application."""
        if scope.path == "/metrics":
            protocol.response_bytes(200, [("content-type", CONTENT_TYPE_PLAIN_0_0_4)], await self._metrics())
        elif scope.path == "/counts":
            body = orjson.dumps(self.file.counts.by_function())
            protocol.response_bytes(200, [("content-type", "application/json")], body)
        elif scope.path == "/healthz":
            protocol.response_str(200, [("content-type", "text/plain")], "OK")
        else:
            body = orjson.dumps({"error": "only /metrics, /counts and /healthz are here", "code": "not_found"})
            protocol.response_bytes(404, [("content-type", "application/json")], body)

    def take(self, lines: list[bytes]) -> None:
        try:
            self.file.take(lines)
        except OSError as error:
            self.log.warning("access log not written", error=str(error), lines=len(lines))

    async def _metrics(self) -> bytes:
        running, known, figures = await asyncio.gather(
            self._in_flight(),
            asyncio.to_thread(replicas, self.settings),
            asyncio.to_thread(haproxy_figures, self.settings),
        )
        accepted = not rejected_dir(self.settings).exists()
        return self.gateway.text(Moment(self.file.counts, running, known, accepted)) + figures

    async def _in_flight(self) -> dict[str, int]:
        try:
            backends = await AdminSocket(self.settings.socket("haproxy-admin")).backends()
        except Unavailable:
            return {}
        picture = await asyncio.to_thread(installed_picture, self.settings)
        return {str(ref): load.in_flight + load.queued for ref, load in loads(picture, backends).items()}


class Ring(asyncio.Protocol):
    """One connection of HAProxy: lines until it closes. A reload opens a second one beside it."""

    _transport: asyncio.Transport

    def __init__(self, service: LogService) -> None:
        self.closed = asyncio.get_running_loop().create_future()
        self._service = service
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._service.rings.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._service.rings.discard(self)
        self.closed.set_result(None)

    def stop_receiving(self) -> None:
        """What is in the socket is still read, then it ends; HAProxy's next line does not go into it."""
        descriptor = self._transport.get_extra_info("socket").fileno()
        with socket.fromfd(descriptor, socket.AF_UNIX, socket.SOCK_STREAM) as ours:
            ours.shutdown(socket.SHUT_RD)

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE_BYTES:
            lines, self._rest = [*lines, self._rest], b""
        if lines:
            self._service.take([line for line in lines if line])
        if len(data) < PLENTY_BYTES:
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(PAUSE_S, self._resume)

    def _resume(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()


async def serve(settings: Settings, log: Logger) -> None:
    """Until SIGTERM or SIGINT; what HAProxy sends after that stays in its ring for the next start."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    settings.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    service = LogService(settings, AccessFile(settings.logs_dir), Gateway(), log)
    await asyncio.to_thread(ring_bell, settings)
    ring = await _listen(settings, service)
    server = Server(
        service.answer,
        address=settings.bind_host,
        port=settings.metrics_port,
        interface=Interfaces.RSGI,
        websockets=False,
        log_enabled=False,
    )
    async with ring, asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve())
        snapshots = tasks.create_task(service.snapshots())
        log.info("started", port=settings.metrics_port)
        await stopped.wait()
        ring.close()
        await service.hang_up()
        server.stop()  # type: ignore[no-untyped-call]
        await serving
        snapshots.cancel()
    service.file.close()
    log.info("stopped")


async def _listen(settings: Settings, service: LogService) -> asyncio.Server:
    path = settings.socket("logs")
    path.unlink(missing_ok=True)  # left by one that was killed
    mask = os.umask(0o177)
    try:
        return await asyncio.get_running_loop().create_unix_server(lambda: Ring(service), str(path))
    finally:
        os.umask(mask)


def main() -> None:
    uvloop.run(serve(Settings.from_env(os.environ), get_logger("logs")))


if __name__ == "__main__":
    main()
