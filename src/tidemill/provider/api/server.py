"""Serves an ASGI application on a unix socket until cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from tidemill.lib.log import Logger

SOCKET_MODE = 0o600
STOP_TIMEOUT_S = 5.0
"""How long requests under way may take to end."""


async def serve(app: Any, socket: Path, *, end_streams: Callable[[], None], log: Logger) -> None:
    """`end_streams` is called when it is cancelled: answers that never end by themselves end then."""
    await asyncio.to_thread(socket.unlink, True)
    server = Server(
        app, uds=socket, interface=Interfaces.ASGI, http=HTTPModes.http1, websockets=False, log_enabled=False
    )
    server.uds_permissions = SOCKET_MODE
    serving = asyncio.create_task(server.serve())
    try:
        log.info("started", socket=str(socket))
        await asyncio.shield(serving)
    finally:
        end_streams()
        server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait((serving,), timeout=STOP_TIMEOUT_S)
