"""Everything that the platform consists of, kept running by one process; told and asked over a unix socket.

One JSON object a line: `{"verb": "status"}`, `{"verb": "status", "memory": true}`, `{"verb": "watch"}` (a status now
and after each change, until the connection ends), `{"verb": "restart", "name": "door"}`, `{"verb": "stop"}`. The
answer is `{"ok": …}` or `{"error": {"error", "code"}}`.

Stop order, the same for `stop` and SIGTERM (the stages are in `tree`): what takes work ends first and finishes what
it has, then what it needs for that, the servers that keep data last. A service of a later stage is not told before
those of the earlier ones are gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson

from tidemill.contract.errors import BadRequest, NotFound, TidemillError
from tidemill.embedded.runner import Runner
from tidemill.embedded.service import Service
from tidemill.lib.log import Logger


def listen(path: Path) -> socket.socket:
    """The supervisor's socket, which its owner alone may use. The caller is the only supervisor here, so a file of
    that name is a dead one's."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen()
    return listener


class Supervisor:
    """`run` starts everything at once and returns after `stop`, when nothing runs any more."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        environ: Mapping[str, str],
        cwd: Path,
        logs_dir: Path,
        listener: socket.socket,
        log: Logger,
        described: Mapping[str, str] | None = None,
    ) -> None:
        """`listener`: from `listen`. `described`: the settings it runs with, told with its status."""
        self._listener = listener
        self._log = log
        self._described = dict(described or {})
        self._stopping = asyncio.Event()
        self._news = asyncio.Event()
        self._conversations: set[asyncio.Task[None]] = set()
        self._runners = {
            service.name: Runner(service, environ=environ, cwd=cwd, logs_dir=logs_dir, log=log, changed=self._tell)
            for service in services
        }

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        async with self._listening(), asyncio.TaskGroup() as group:
            for runner in self._runners.values():
                group.create_task(runner.run())
            await self._stopping.wait()
            self._log.info("stopping")
            await self._stop_in_order()
        self._log.info("stopped")

    async def _stop_in_order(self) -> None:
        def stage(runner: Runner) -> int:
            return runner.service.stop_stage

        for _, together in groupby(sorted(self._runners.values(), key=stage), key=stage):
            await asyncio.gather(*(runner.stop() for runner in together))

    def _status(self, *, with_memory: bool = False) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "settings": self._described,
            "stopping": self._stopping.is_set(),
            "services": [asdict(runner.status(with_memory=with_memory)) for runner in self._runners.values()],
        }

    def _tell(self) -> None:
        """Wakes those who watch."""
        self._news.set()
        self._news = asyncio.Event()

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        name = self._listener.getsockname()
        server = await asyncio.start_unix_server(self._serve, sock=self._listener)
        try:
            yield
        finally:
            server.close()
            os.unlink(name)
            for task in tuple(self._conversations):
                task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        task.add_done_callback(self._conversations.discard)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while line := await reader.readline():
                async for answer in self._answers(line):
                    writer.write(orjson.dumps(answer) + b"\n")
                    await writer.drain()
        writer.close()

    async def _answers(self, line: bytes) -> AsyncIterator[dict[str, Any]]:
        try:
            request = orjson.loads(line)
            if not isinstance(request, dict):
                raise BadRequest("the request must be a JSON object")
            async for answer in self._obey(request):
                yield {"ok": answer}
        except orjson.JSONDecodeError:
            yield {"error": BadRequest("the request is not JSON").as_wire()}
        except TidemillError as error:
            yield {"error": error.as_wire()}

    async def _obey(self, request: Mapping[str, Any]) -> AsyncIterator[Any]:
        match request:
            case {"verb": "status"}:
                yield self._status(with_memory=bool(request.get("memory")))
            case {"verb": "watch"}:
                async for status in self._changes():
                    yield status
            case {"verb": "restart", "name": str(name)}:
                if name not in self._runners:
                    raise NotFound(f"there is no service {name}; there are {', '.join(self._runners)}")
                await self._runners[name].restart()
                yield None
            case {"verb": "stop"}:
                self.stop()
                yield None
            case _:
                raise BadRequest("the verbs are status, watch, restart (with name) and stop")

    async def _changes(self) -> AsyncIterator[dict[str, Any]]:
        told = None
        while True:
            news, status = self._news, self._status()
            if status != told:
                yield status
                told = status
            else:
                await news.wait()
