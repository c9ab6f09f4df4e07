"""A real HAProxy with the rendered configuration, in a data directory of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tidemill.edge.apply import HaproxyTraffic
from tidemill.edge.haproxy import haproxy_argv, prepare
from tidemill.lib.settings import Settings


@dataclass
class Edge:
    """The running edge of one test."""

    settings: Settings
    traffic: HaproxyTraffic
    client: aiohttp.ClientSession
    process: asyncio.subprocess.Process

    @property
    def url(self) -> str:
        return self.settings.gateway_url

    async def start(self) -> None:
        self.process = await _start(self.settings)

    async def kill(self) -> None:
        """As a crash would: master and worker, no goodbye."""
        worker = await self.worker_pid()
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()
        await until(lambda: not Path(f"/proc/{worker}").exists() or _kill(worker))

    async def worker_pid(self) -> int:
        answer = await self.traffic._admin.ask("show info")
        return int(next(line for line in answer.splitlines() if line.startswith("Pid: ")).removeprefix("Pid: "))


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return True
    return False


async def until(condition: Callable[[], bool | Awaitable[bool]], *, timeout_s: float = 20.0) -> None:
    """Wait for a condition; fails the test past the deadline."""
    async with asyncio.timeout(timeout_s):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.01)


async def _start(settings: Settings) -> asyncio.subprocess.Process:
    prepare(settings)
    process = await asyncio.create_subprocess_exec(
        *haproxy_argv(settings), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )

    def listens() -> bool:
        assert process.returncode is None, "HAProxy ended at once"
        with socket.socket() as probe:
            return probe.connect_ex((settings.bind_host, settings.gateway_port)) == 0

    await until(listens)
    return process


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def settings() -> Iterator[Settings]:
    folder = Path(tempfile.mkdtemp(prefix="tm-edge-"))
    made = Settings(data_dir=folder / ".tidemill", gateway_port=free_port(), metrics_port=free_port())
    yield made
    shutil.rmtree(folder)
    shutil.rmtree(made.run_dir, ignore_errors=True)


@pytest.fixture
async def edge(settings: Settings) -> AsyncIterator[Edge]:
    process = await _start(settings)
    # No waiting for idle connections: HAProxy would keep them for its soft stop.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        running = Edge(settings, HaproxyTraffic(settings), client, process)
        yield running
    if running.process.returncode is None:
        running.process.send_signal(signal.SIGTERM)
        await running.process.wait()
