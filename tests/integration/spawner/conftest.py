"""A real spawner process, and functions to put into it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.settings import settings_in
from tests.support.waiting import eventually, wait_until
from tidemill.contract.replicas import ReplicaSpec, ReplicaStatus
from tidemill.lib.settings import Settings
from tidemill.spawn.client import SpawnerClient

HELLO = """
    def handle(event, context):
        return {"statusCode": 200, "body": "hello"}
"""


@dataclass
class Running:
    """A spawner process of a test's own."""

    settings: Settings
    process: subprocess.Popen[bytes]

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)


def start_spawner(folder: Path) -> Running:
    settings = settings_in(folder)
    return Running(settings, start_on(settings, folder))


def start_on(settings: Settings, folder: Path) -> subprocess.Popen[bytes]:
    settings.socket("spawner").unlink(missing_ok=True)  # of one that was killed
    with (folder / "spawner.ndjson").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tidemill.services.spawner"],
            env={**os.environ, **settings.as_env()},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    wait_until(settings.socket("spawner").exists, "the spawner listens")
    return process


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter; pytest's own are closed."""
    folder = Path(tempfile.mkdtemp(prefix="tidemill-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def shared(open_folder: Path) -> Iterator[Running]:
    """One spawner for the tests that leave it alive."""
    (open_folder / "shared").mkdir()
    running = start_spawner(open_folder / "shared")
    yield running
    assert running.stop() == 0
    shutil.rmtree(running.settings.run_dir)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Running]:
    """A spawner that the test may kill."""
    running = start_spawner(tmp_path)
    yield running
    running.process.kill()
    running.process.wait()
    shutil.rmtree(running.settings.run_dir)


@dataclass
class Functions:
    """Puts functions and calls them on their sockets."""

    client: SpawnerClient
    folder: Path
    settings: Settings
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def spec(self, code: str, *, name: str | None = None, version: str | None = None, **more: Any) -> ReplicaSpec:
        number = next(self._numbers)
        name = name or f"{self.folder.name[:20].replace('_', '-').lower().strip('-')}-{number}"
        version = version or f"{number:012x}"
        package = self.folder / name / version / "function"
        package.mkdir(parents=True)
        (package / "handler.py").write_text(textwrap.dedent(code))
        fields: dict[str, Any] = {
            "ref": f"{name}.openfaas-fn",
            "version": version,
            "kind": "python3-http",
            "source_dir": str(package.parent),
            "python": sys.executable,
            "env_hash": "tests",
        }
        return ReplicaSpec(**{**fields, **more})

    async def put(self, code: str, *, slots: int = 1, **more: Any) -> ReplicaStatus:
        """The first slot's status."""
        return (await self.client.put(self.spec(code, **more), slots))[0]

    async def start(self, slot: ReplicaStatus) -> ReplicaStatus:
        return await self.client.start(slot.ref, slot.version, slot.slot)

    async def now(self, slot: ReplicaStatus) -> ReplicaStatus:
        (found,) = [other for other in await self.client.list() if other.socket == slot.socket]
        return found

    async def ready(self, slot: ReplicaStatus) -> ReplicaStatus:
        """The slot once the spawner knows that its replica is ready, which may be after the first answer."""

        async def found() -> ReplicaStatus | None:
            now = await self.now(slot)
            return now if now.state == "ready" else None

        status = await eventually(found, "the replica is ready")
        assert status is not None
        return status

    def log(self, slot: ReplicaStatus) -> list[dict[str, Any]]:
        name, namespace = slot.ref.split(".")
        file = self.settings.logs_dir / "fn" / namespace / f"{name}.ndjson"
        return [json.loads(line) for line in file.read_bytes().splitlines()] if file.exists() else []

    def line(self, slot: ReplicaStatus, event: str) -> dict[str, Any]:
        """The first line of this event; empty while there is none."""
        return next((line for line in self.log(slot) if line["event"] == event), {})


def caller(slot: ReplicaStatus, **more: Any) -> httpx.AsyncClient:
    """An HTTP client of one slot."""
    transport = httpx.AsyncHTTPTransport(uds=slot.socket)
    return httpx.AsyncClient(transport=transport, base_url="http://function", timeout=20, **more)


@pytest.fixture
async def functions(shared: Running, open_folder: Path, request: pytest.FixtureRequest) -> AsyncIterator[Functions]:
    folder = Path(tempfile.mkdtemp(prefix="fn-", dir=open_folder))
    folder.chmod(0o755)
    async with SpawnerClient(shared.settings.socket("spawner")) as client:
        yield Functions(client, folder, shared.settings)
        for status in await client.list():
            await client.drop(status.ref, status.version)


@pytest.fixture
async def own_functions(own: Running, tmp_path: Path) -> AsyncIterator[Functions]:
    (tmp_path / "own").mkdir()
    async with SpawnerClient(own.settings.socket("spawner")) as client:
        yield Functions(client, tmp_path / "own", own.settings)
