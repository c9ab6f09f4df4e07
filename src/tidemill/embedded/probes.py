"""How the supervisor sees that a service is ready: a look that costs a connection and never raises."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

LOOK_TIMEOUT_S = 5.0


class Probe(Protocol):
    """One way to look."""

    async def holds(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class PortOpen:
    """Something accepts on this port."""

    port: int
    host: str = "127.0.0.1"

    async def holds(self) -> bool:
        return await _connects(asyncio.open_connection(self.host, self.port))


@dataclass(frozen=True, slots=True)
class SocketOpen:
    """Something accepts on this unix socket; a file left by a dead process does not count."""

    path: Path

    async def holds(self) -> bool:
        return await _connects(asyncio.open_unix_connection(str(self.path)))


@dataclass(frozen=True, slots=True)
class HttpOk:
    """GET on this unix socket answers 200."""

    path: Path
    target: str

    async def holds(self) -> bool:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(str(self.path))
                try:
                    writer.write(
                        f"GET {self.target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
                    )
                    status = await reader.readline()
                finally:
                    writer.close()
                return status.startswith(b"HTTP/1.1 200")
        return False


async def _connects(opening: Coroutine[Any, Any, tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> bool:
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            _, writer = await opening
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
