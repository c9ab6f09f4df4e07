"""How the provider speaks to the spawner."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from pathlib import Path
from typing import Any, Self

from tidemill.contract import errors
from tidemill.contract.errors import TidemillError, Unavailable
from tidemill.contract.replicas import ReplicaSpec, ReplicaStatus

LINE_BYTES = 8 << 20
"""Longest answer: `list` of everything."""


class SpawnerClient:
    """Connects when it is first used and again after a break. Every verb raises Unavailable where the spawner is away
    or goes away before it has answered; what it had begun may then have happened, and may be asked again."""

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path
        self._numbers = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()

    async def put(self, spec: ReplicaSpec, slots: int) -> list[ReplicaStatus]:
        """Raises DeployFailed where the interpreter of the function's environment cannot be run."""
        found = await self._ask("put", spec=spec.as_wire(), slots=slots)
        return [ReplicaStatus.from_wire(status) for status in found]

    async def start(self, ref: str, version: str, slot: int) -> ReplicaStatus:
        """`ready`, or `failed` with its `reason`. Raises NotFound for what was not put."""
        return ReplicaStatus.from_wire(await self._ask("start", ref=ref, version=version, slot=slot))

    async def stop(self, ref: str, version: str, slot: int) -> ReplicaStatus:
        """Raises NotFound for what was not put."""
        return ReplicaStatus.from_wire(await self._ask("stop", ref=ref, version=version, slot=slot))

    async def drop(self, ref: str, version: str) -> None:
        await self._ask("drop", ref=ref, version=version)

    async def list(self) -> list[ReplicaStatus]:
        return [ReplicaStatus.from_wire(status) for status in await self._ask("list")]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading

    async def _ask(self, verb: str, **arguments: Any) -> Any:
        writer = await self._connected()
        number = next(self._numbers)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pending[number] = answer
        try:
            writer.write(json.dumps({"id": number, "verb": verb, **arguments}).encode() + b"\n")
            await writer.drain()
            return await answer
        except OSError as error:
            raise _away() from error
        finally:
            self._pending.pop(number, None)

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._connecting:
            if self._writer is None:
                try:
                    reader, self._writer = await asyncio.open_unix_connection(self._path, limit=LINE_BYTES)
                except OSError as error:
                    raise _away() from error
                self._reading = asyncio.create_task(self._read(reader, self._writer))
            return self._writer

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError):
                while line := await reader.readline():
                    self._settle(json.loads(line))
        finally:
            self._writer = None
            writer.close()
            for answer in self._pending.values():
                if not answer.done():
                    answer.set_exception(_away())

    def _settle(self, message: dict[str, Any]) -> None:
        answer = self._pending.get(message["id"])
        if answer is None or answer.done():
            return
        if "error" in message:
            answer.set_exception(_error(message["error"]))
        else:
            answer.set_result(message["ok"])


def _away() -> Unavailable:
    return Unavailable("the spawner is not reachable")


def _error(wire: dict[str, Any]) -> TidemillError:
    """The error the spawner raised, by its code."""
    kinds: dict[str, type[TidemillError]] = {
        kind.code: kind for kind in (errors.BadRequest, errors.NotFound, errors.DeployFailed, errors.Unavailable)
    }
    return kinds.get(wire["code"], TidemillError)(wire["error"], hint=wire.get("hint"))
