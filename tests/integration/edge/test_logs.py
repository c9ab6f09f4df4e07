"""The access log from a real HAProxy through the log service: complete, counted, and there after restarts."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp

from tests.integration.edge.conftest import Edge, until
from tests.integration.edge.replicas import Answer, Received, Replica
from tests.integration.edge.test_calls import HELLO, deploy, target_of
from tidemill.lib.auth import PASSWORD_FILE, USER_FILE, Credentials
from tidemill.lib.settings import Settings


@asynccontextmanager
async def log_service(settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    """The service as the supervisor starts it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tidemill.services.logs",
        env=settings.as_env(),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=None,
    )
    try:
        async with aiohttp.ClientSession() as client:
            await until(lambda: _healthy(client, settings))
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def _healthy(client: aiohttp.ClientSession, settings: Settings) -> bool:
    try:
        async with client.get(f"http://127.0.0.1:{settings.metrics_port}/healthz") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False


async def _text(edge: Edge, path: str) -> str:
    async with edge.client.get(f"http://127.0.0.1:{edge.settings.metrics_port}{path}") as answer:
        assert answer.status == 200
        return await answer.text()


def _lines(edge: Edge) -> list[dict[str, Any]]:
    path = edge.settings.logs_dir / "access.ndjson"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def _until_kept(edge: Edge, count: int) -> None:
    """Wait for so many lines in access.ndjson; the failure says how many there were."""
    with suppress(TimeoutError):
        await until(lambda: len(_lines(edge)) >= count)
    assert len(_lines(edge)) == count


async def _call(edge: Edge, count: int, *, at_once: int = 16) -> None:
    async def some(share: int) -> None:
        for _ in range(share):
            async with edge.client.get(f"{edge.url}/function/hello") as answer:
                assert answer.status == 200
                await answer.read()

    await asyncio.gather(*(some(count // at_once) for _ in range(at_once)))


async def test_five_thousand_calls_are_five_thousand_lines(edge: Edge) -> None:
    """None is lost under load, also while the service is down for a while; counts and metrics agree."""
    async with Replica(edge.settings.run_dir / "hello.sock") as hello:
        await deploy(edge, target_of(HELLO, hello.socket))
        async with log_service(edge.settings):
            await _call(edge, 2400)
            await _until_kept(edge, 2400)
        await _call(edge, 1600)
        async with log_service(edge.settings):
            await _call(edge, 1008)
            await _until_kept(edge, 5008)
            assert json.loads(await _text(edge, "/counts")) == {"hello.openfaas-fn": 5008}
            metrics = await _text(edge, "/metrics")
    labels = '{code="200",function_name="hello.openfaas-fn"}'
    assert f"gateway_function_invocation_total{labels} 5008.0" in metrics
    assert f"gateway_functions_seconds_count{labels} 5008.0" in metrics
    assert "tidemill_access_lines_dropped_total 0.0" in metrics
    assert len({line["call_id"] for line in _lines(edge)}) == 5008


async def test_a_line_says_what_happened(edge: Edge) -> None:
    """Function, ids, attempt, route, status and times; hostile text of a caller stays inside its field."""
    connector = aiohttp.UnixConnector(str(edge.settings.socket("edge")))
    told = {"X-Call-Id": "c1", "X-Correlation-Id": "o1", "X-Tidemill-Attempt": "3"}
    async with Replica(edge.settings.run_dir / "hello.sock") as hello, log_service(edge.settings):
        await deploy(edge, target_of(HELLO, hello.socket, routes=("GET /items/{id}",)))
        async with (
            aiohttp.ClientSession(connector=connector) as trusted,
            trusted.get("http://edge/items/7", headers=told) as answer,
        ):
            assert answer.status == 200
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.settings.gateway_port)
        writer.write(b'GET /x","event":"forged\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
        await reader.read()
        writer.close()
        await _until_kept(edge, 2)
    call, hostile = _lines(edge)
    assert call.pop("duration_ms") >= 0
    assert call.pop("bytes") > 0
    assert len(call.pop("trace_id")) == 32
    assert call.pop("ts").endswith("Z")
    assert call == {
        "level": "info",
        "source": "edge",
        "event": "call",
        "function": "hello.openfaas-fn",
        "route": "GET /items/{id}",
        "call_id": "c1",
        "correlation_id": "o1",
        "method": "GET",
        "path": "/items/7",
        "client": "unix",
        "attempt": 3,
        "status": 200,
        "queue_ms": 0,
        "served_by": "hello.openfaas-fn/v1-0",
    }
    assert (hostile["event"], hostile["status"]) == ("request", hostile["status"])


async def test_counts_survive_a_crash(edge: Edge) -> None:
    """kill -9 of the service: no call that is in the file is counted twice or forgotten."""
    async with Replica(edge.settings.run_dir / "hello.sock") as hello:
        await deploy(edge, target_of(HELLO, hello.socket))
        async with log_service(edge.settings) as process:
            await _call(edge, 160)
            await until(lambda: len(_lines(edge)) == 160)
            process.kill()
        async with log_service(edge.settings):
            await _call(edge, 32)
            await _until_kept(edge, 192)
            assert json.loads(await _text(edge, "/counts")) == {"hello.openfaas-fn": 192}


async def test_metrics_tell_of_replicas_calls_in_flight_and_haproxy(edge: Edge) -> None:
    """gateway_service_count comes from control (absent without it), started includes what runs now, HAProxy's own
    figures follow, and a refused configuration is a gauge at 0."""
    release = asyncio.Event()

    async def waits(received: Received) -> Answer:
        await release.wait()
        return Answer()

    async def functions(received: Received) -> Answer:
        credentials = Credentials.load(edge.settings.secrets_dir)
        assert credentials.permits(received.headers.get("authorization"))
        listed = [{"name": "hello", "namespace": "openfaas-fn", "replicas": 2}]
        return Answer(body=json.dumps(listed).encode())

    edge.settings.secrets_dir.mkdir(parents=True)
    (edge.settings.secrets_dir / USER_FILE).write_text("admin")
    (edge.settings.secrets_dir / PASSWORD_FILE).write_text("secret")
    async with Replica(edge.settings.run_dir / "hello.sock", waits) as hello, log_service(edge.settings):
        await deploy(edge, target_of(HELLO, hello.socket))
        running = asyncio.create_task(_call(edge, 1, at_once=1))
        await until(lambda: hello.served == 1)
        metrics = await _text(edge, "/metrics")
        assert "gateway_service_count{" not in metrics
        assert "haproxy_process_" in metrics and "haproxy_frontend_" in metrics
        assert "tidemill_edge_config_ok 1.0" in metrics
        assert 'gateway_function_invocation_started{function_name="hello.openfaas-fn"} 1.0' in metrics
        release.set()
        await running
        (edge.settings.edge_dir / "rejected").mkdir()
        async with Replica(edge.settings.socket("control"), functions):
            metrics = await _text(edge, "/metrics")
        assert 'gateway_service_count{function_name="hello.openfaas-fn"} 2.0' in metrics
        assert "tidemill_edge_config_ok 0.0" in metrics
