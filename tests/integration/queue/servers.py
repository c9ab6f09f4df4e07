"""Real servers and scripted neighbours for the tests of the queue."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from tidemill.broker.jetstream import JetStream
from tidemill.broker.permissions import USERS, permissions
from tidemill.invoke.client import Client, InvokeError
from tidemill.invoke.http1 import Answer
from tidemill.lib.log import Logger
from tidemill.lib.settings import Settings

NATS = Path(sys.executable).parent / "nats-server"
PASSWORD = "pw"
LOGIN = ("Authorization", "Basic YWRtaW46cHc=")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def eventually(check: Callable[[], Awaitable[Any]], *, within_s: float = 20.0) -> Any:
    """The first true value of `check`."""
    deadline = asyncio.get_running_loop().time() + within_s
    while True:
        if value := await check():
            return value
        assert asyncio.get_running_loop().time() < deadline, "it did not come true in time"
        await asyncio.sleep(0.02)


class Process:
    """Started by the test, ended by it."""

    def __init__(self, argv: list[str], log: Path, env: dict[str, str] | None = None) -> None:
        self._argv, self._log, self._env = argv, log, env
        self.popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.popen = subprocess.Popen(self._argv, stdout=log, stderr=log, env=self._env)

    def kill(self) -> None:
        """As a power cut would end it."""
        assert self.popen is not None
        self.popen.kill()
        self.popen.wait()

    def stop(self) -> int:
        assert self.popen is not None
        self.popen.terminate()
        return self.popen.wait(20)


class NatsServer(Process):
    """With the permissions that the embedded stack gives, and every ack after fsync."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        users = []
        for user in USERS:
            allowed = permissions(user)
            publish = ", ".join(f'"{subject}"' for subject in allowed.publish)
            subscribe = ", ".join(f'"{subject}"' for subject in allowed.subscribe)
            users.append(
                f"{{user: {user}, password: {PASSWORD}, permissions: {{publish: {{allow: [{publish}]}}, "
                f"subscribe: {{allow: [{subscribe}]}}}}}}"
            )
        config = folder / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:{port}"\n'
            f'jetstream {{ store_dir: "{folder / "jetstream"}", sync_interval: always }}\n'
            f"authorization {{ users: [{', '.join(users)}] }}\n"
        )
        super().__init__([str(NATS), "-c", str(config)], folder / "nats.log")

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"


@contextmanager
def nats_server(folder: Path) -> Iterator[NatsServer]:
    server = NatsServer(folder, free_port())
    server.start()
    try:
        yield server
    finally:
        server.kill()


@asynccontextmanager
async def connected(server: NatsServer, user: str) -> AsyncIterator[JetStream]:
    async with JetStream(server.url, user=user, password=PASSWORD, log=Logger("test")) as broker:
        async with asyncio.timeout(20):
            await broker.wait_ready()
        yield broker


Answerer = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]


@dataclass
class Edge:
    """Stands for HAProxy and all functions: what it answers is scripted by function name."""

    answers: dict[str, Answerer] = field(default_factory=dict)
    seen: dict[str, list[tuple[web.Request, bytes]]] = field(default_factory=lambda: defaultdict(list))
    by_call: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def attempts(self, name: str) -> list[str]:
        return [request.headers["X-Tidemill-Attempt"] for request, _ in self.seen[name]]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        name = request.path.split("/")[2].partition(".")[0]
        body = await request.read()
        self.seen[name].append((request, body))
        self.by_call[request.headers.get("X-Call-Id", "")] += 1
        answerer = self.answers.get(name)
        return await answerer(request, body) if answerer else web.Response(text="done")


def statuses(*codes: int, **headers: str) -> Answerer:
    """One after another; the last one for ever."""
    left = list(codes)

    async def answer(request: web.Request, body: bytes) -> web.StreamResponse:
        code = left.pop(0) if len(left) > 1 else left[0]
        return web.Response(status=code, text=f"answer {code}", headers=headers)

    return answer


@dataclass
class Provider:
    """Stands for control."""

    functions: dict[str, dict[str, str]] = field(default_factory=dict)
    """Name to annotations."""
    is_away: bool = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.is_away and request.transport is not None:
            request.transport.abort()
        assert request.headers["Authorization"] == LOGIN[1]
        if request.path == "/system/namespaces":
            return web.json_response(["openfaas-fn"])
        if request.path == "/system/functions":
            return web.json_response([self._status(name) for name in self.functions])
        name = request.path.rpartition("/")[2]
        if name not in self.functions:
            return web.json_response({"error": "no such function", "code": "function_not_found"}, status=404)
        return web.json_response(self._status(name))

    def _status(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "namespace": "openfaas-fn",
            "image": "test",
            "annotations": self.functions[name],
            "envVars": {"exec_timeout": "5s"},
            "replicas": 1,
            "availableReplicas": 1,
            "createdAt": "2026-01-01T00:00:00Z",
        }


@asynccontextmanager
async def listening(handler: Answerer | Callable[[web.Request], Awaitable[web.StreamResponse]], path: Path) -> Any:
    application = web.Application(client_max_size=2**30)
    application.router.add_route("*", "/{rest:.*}", handler)  # type: ignore[arg-type]
    runner = web.AppRunner(application)
    await runner.setup()
    path.unlink(missing_ok=True)
    await web.UnixSite(runner, str(path)).start()
    try:
        yield
    finally:
        await runner.cleanup()


QUICK = {
    "com.openfaas.retry.attempts": "3",
    "com.openfaas.retry.min_wait": "10ms",
    "com.openfaas.retry.max_wait": "50ms",
}


class Stack:
    """nats-server, door and worker as processes; edge and provider scripted in the test."""

    def __init__(self, folder: Path) -> None:
        environ = {
            **os.environ,
            "TIDEMILL_DATA_DIR": str(folder / "data"),
            "TIDEMILL_NATS_PORT": str(free_port()),
            "TIDEMILL_GATEWAY_PORT": str(free_port()),
            "XDG_RUNTIME_DIR": str(folder),
            "TIDEMILL_MAX_ASYNC_BODY": "2Mi",
        }
        self.settings = Settings.from_env(environ)
        self.settings.run_dir.mkdir(parents=True, exist_ok=True)
        self.settings.secrets_dir.mkdir(parents=True)
        secrets = {"basic-auth-user": "admin", "basic-auth-password": "pw"}
        secrets |= {f"nats-{user}": PASSWORD for user in USERS}
        for name, text in secrets.items():
            (self.settings.secrets_dir / name).write_text(text)
        self.nats = NatsServer(folder, self.settings.nats_port)
        self.logs = {name: folder / f"{name}.log" for name in ("door", "worker")}
        self.door, self.worker = (
            Process([sys.executable, "-m", f"tidemill.services.{name}"], self.logs[name], environ)
            for name in ("door", "worker")
        )
        self.edge, self.provider = Edge(), Provider()

    @asynccontextmanager
    async def running(self, *, worker: bool = True) -> AsyncIterator[Stack]:
        settings = self.settings
        async with (
            listening(self.edge.handle, settings.socket("edge")),
            listening(self.provider.handle, settings.socket("control")),
        ):
            self.nats.start()
            self.door.start()
            if worker:
                self.worker.start()
            try:
                async with Client(f"unix:{settings.socket('door')}") as client:
                    self.client = client
                    await eventually(self._is_up)
                    yield self
            finally:
                for process in (self.worker, self.door, self.nats):
                    if process.popen is not None and process.popen.poll() is None:
                        process.kill()
                shutil.rmtree(settings.run_dir)

    async def call(
        self, method: str, target: str, body: bytes = b"", timeout_s: float = 15.0, **headers: str
    ) -> Answer:
        sent = [LOGIN, *((name.replace("_", "-"), value) for name, value in headers.items())]
        return await self.client.request(method, target, headers=sent, body=body, timeout_s=timeout_s)

    async def submit(self, name: str, body: bytes = b"x", **headers: Any) -> str:
        answer = await self.call("POST", f"/async-function/{name}", body, **headers)
        assert answer.status == 202, answer
        return answer.header("X-Call-Id") or ""

    async def _is_up(self) -> bool:
        """The door answers and reaches the broker."""
        try:
            answer = await self.call("GET", "/async-function/nothing")
        except InvokeError:
            return False
        return answer.status == 404
