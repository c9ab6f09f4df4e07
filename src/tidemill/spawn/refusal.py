"""Answers on the socket of a function that cannot start, so that its callers learn why instead of waiting."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

from tidemill.contract import headers
from tidemill.contract.errors import Unavailable

REQUEST_S = 5.0
"""For the request to arrive and the answer to be read."""
DRAINED_BYTES = 1 << 20
"""Of a request's body: enough that a sender of usual size gets to read the answer instead of a broken pipe."""
HEAD_BYTES = 64 * 1024


class Refusal:
    """Accepts on `listener` and answers 503 with a reason, until it is closed."""

    def __init__(self, listener: socket.socket, *, ref: str, reason: str, retry_after_s: float) -> None:
        error = Unavailable(f"function {ref} cannot start: {reason}", retry_after_s=retry_after_s)
        self._answer = render(error)
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._answers: set[asyncio.Task[None]] = set()
        self._loop.add_reader(listener, self._accept)

    def close(self) -> None:
        """Accepts no more; answers under way are finished."""
        self._loop.remove_reader(self._listener)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, InterruptedError):
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            task = self._loop.create_task(self._refuse(connection))
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)

    async def _refuse(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(REQUEST_S):
                reader, writer = await asyncio.open_unix_connection(sock=connection, limit=HEAD_BYTES)
                try:
                    await reader.readuntil(b"\r\n\r\n")
                    writer.write(self._answer)
                    await writer.drain()
                    writer.write_eof()
                    await _drain(reader)
                finally:
                    writer.close()


async def _drain(reader: asyncio.StreamReader) -> None:
    left = DRAINED_BYTES
    while left > 0 and (data := await reader.read(64 * 1024)):
        left -= len(data)


def render(error: Unavailable) -> bytes:
    """A whole HTTP/1.1 answer."""
    body = json.dumps(error.as_wire()).encode()
    head = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        headers.INTERNAL: "spawner",
        headers.RETRY_AFTER: str(max(1, round(error.retry_after_s))),
        "Connection": "close",
    }
    lines = ["HTTP/1.1 503 Service Unavailable", *(f"{name}: {value}" for name, value in head.items()), "", ""]
    return "\r\n".join(lines).encode() + body
