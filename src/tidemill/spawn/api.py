"""The spawner's verbs as JSON lines on a unix socket (contract/replicas.py says which)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from tidemill.contract.errors import BadRequest, TidemillError
from tidemill.contract.replicas import ReplicaSpec
from tidemill.lib import log
from tidemill.spawn.spawner import Spawner

LINE_BYTES = 1 << 20
"""Longest request; a function's whole environment is in it."""

_log = log.get_logger("spawner")


@asynccontextmanager
async def serve(spawner: Spawner, path: Path) -> AsyncIterator[None]:
    """Listens while the block runs; verbs under way at its end are given up."""
    conversations: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        conversations.add(task)
        try:
            await _converse(spawner, reader, writer)
        finally:
            conversations.discard(task)

    with _bound(path) as listener:
        server = await asyncio.start_unix_server(accept, sock=listener, limit=LINE_BYTES)
        try:
            yield
        finally:
            server.close()
            for task in conversations:
                task.cancel()
            await asyncio.gather(*conversations, return_exceptions=True)


@contextmanager
def _bound(path: Path) -> Iterator[socket.socket]:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    try:
        yield listener
    finally:
        path.unlink(missing_ok=True)


async def _converse(spawner: Spawner, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        async with asyncio.TaskGroup() as requests:
            while line := await _line(reader):
                requests.create_task(_answer(spawner, line, writer))
    writer.close()


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:
        _log.error("request over the limit", limit_bytes=LINE_BYTES)
        return b""


async def _answer(spawner: Spawner, line: bytes, writer: asyncio.StreamWriter) -> None:
    request: Any = None
    try:
        request = json.loads(line)
        answer = {"ok": await _perform(spawner, request)}
    except TidemillError as error:
        answer = {"error": error.as_wire()}
    except (ValueError, KeyError, TypeError) as error:
        answer = {"error": BadRequest(f"the request cannot be used: {type(error).__name__}: {error}").as_wire()}
    except OSError as error:
        _log.error("verb failed")
        answer = {"error": TidemillError(f"the spawner could not do it: {error}").as_wire()}
    number = request.get("id") if isinstance(request, dict) else None
    writer.write(json.dumps({"id": number, **answer}).encode() + b"\n")
    with contextlib.suppress(ConnectionError):
        await writer.drain()


async def _perform(spawner: Spawner, request: Mapping[str, Any]) -> Any:
    match request["verb"]:
        case "put":
            spec = ReplicaSpec.from_wire(request["spec"])
            return [status.as_wire() for status in await spawner.put(spec, request["slots"])]
        case "start":
            return (await spawner.start(request["ref"], request["version"], request["slot"])).as_wire()
        case "stop":
            return (await spawner.stop(request["ref"], request["version"], request["slot"])).as_wire()
        case "drop":
            return await spawner.drop(request["ref"], request["version"])
        case "list":
            return [status.as_wire() for status in await spawner.list()]
        case verb:
            raise BadRequest(f"there is no verb {verb!r}")
