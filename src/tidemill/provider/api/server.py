"""Serves an ASGI application on a unix socket until cancelled."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from tidemill.lib.log import Logger

SOCKET_MODE = 0o600
CHECK_S = 0.01
STOP_TIMEOUT_S = 3.0


async def serve(app: Any, socket: Path, *, log: Logger) -> None:
    """Requests under way have a moment to end when it is cancelled."""
    await asyncio.to_thread(socket.unlink, True)
    server = Server(
        app, uds=socket, interface=Interfaces.ASGI, http=HTTPModes.http1, websockets=False, log_enabled=False
    )
    serving = asyncio.create_task(server.serve())
    try:
        await _until_bound(socket, serving)
        await asyncio.to_thread(socket.chmod, SOCKET_MODE)
        log.info("listening", socket=str(socket))
        await asyncio.shield(serving)
    finally:
        server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait((serving,), timeout=STOP_TIMEOUT_S)
        serving.cancel()


async def _until_bound(socket: Path, serving: asyncio.Task[None]) -> None:
    while not await asyncio.to_thread(socket.exists):
        await asyncio.wait((serving,), timeout=CHECK_S)
        if serving.done():
            serving.result()
