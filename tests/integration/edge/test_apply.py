"""Changing the picture of a running HAProxy: no failed call, no reload, and a restart comes back with the same."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.integration.edge.conftest import Edge, until
from tests.integration.edge.replicas import Answer, Received, Replica
from tests.integration.edge.test_calls import HELLO, deploy, target_of
from tidemill.contract.errors import DeployFailed, Unavailable
from tidemill.contract.names import FunctionRef
from tidemill.contract.traffic import Target
from tidemill.edge.admin import CommandFailed
from tidemill.edge.apply import HaproxyTraffic
from tidemill.edge.haproxy import rejected_dir
from tidemill.edge.picture import SPARE
from tidemill.edge.render import backend_name


async def _get(edge: Edge, path: str = "/function/hello") -> tuple[int, str]:
    async with edge.client.get(f"{edge.url}{path}") as answer:
        return answer.status, await answer.text()


def _says(text: str, *, after_s: float = 0.0) -> object:
    async def handler(received: Received) -> Answer:
        await asyncio.sleep(after_s)
        return Answer(body=text.encode())

    return handler


def _replica(edge: Edge, text: str, *, after_s: float = 0.0) -> Replica:
    return Replica(edge.settings.run_dir / f"{text}.sock", _says(text, after_s=after_s))  # type: ignore[arg-type]


async def test_twenty_deployments_need_no_reload(edge: Edge) -> None:
    """The worker is the same process after 20 functions came and 10 went, and each answers by name and by route."""
    worker = await edge.worker_pid()
    async with AsyncExitStack() as stack:
        targets: dict[FunctionRef, Target] = {}
        for number in range(20):
            one = await stack.enter_async_context(_replica(edge, f"f{number}"))
            ref = FunctionRef(f"f{number}")
            targets[ref] = target_of(ref, one.socket, routes=(f"GET /r{number}/{{id}}", f"GET /l{number}"))
            await edge.traffic.apply(targets)
            for path in (f"/function/f{number}", f"/r{number}/x", f"/l{number}"):
                assert await _get(edge, path) == (200, f"f{number}")
        for number in range(10):
            del targets[FunctionRef(f"f{number}")]
            await edge.traffic.apply(targets)
            assert (await _get(edge, f"/function/f{number}"))[0] == 404
            assert (await _get(edge, f"/l{number}"))[0] == 404
        assert await _get(edge, "/function/f19") == (200, "f19")
    assert await edge.worker_pid() == worker


async def test_a_rolling_replacement_fails_no_call(edge: Edge) -> None:
    """Under load, ten versions follow one another; every call is answered 200 by the old or the new one."""
    outcomes: list[int] = []
    stop = asyncio.Event()

    async def caller() -> None:
        while not stop.is_set():
            outcomes.append((await _get(edge))[0])

    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(_replica(edge, "v0"))
        await deploy(edge, target_of(HELLO, first.socket, version="v0"))
        callers = [asyncio.create_task(caller()) for _ in range(8)]
        for number in range(1, 11):
            enough = len(outcomes) + 50
            await until(lambda: len(outcomes) >= enough)  # noqa: B023 (awaited at once)
            sockets = [
                (await stack.enter_async_context(_replica(edge, f"v{number}-{slot}"))).socket for slot in range(2)
            ]
            await deploy(edge, target_of(HELLO, *sockets, version=f"v{number}"))
            assert (await _get(edge))[1].startswith(f"v{number}-")
        stop.set()
        await asyncio.gather(*callers)
    assert set(outcomes) == {200}


async def test_a_removed_server_finishes_its_calls_first(edge: Edge) -> None:
    """apply returns only when the old replica's last call was answered; others are not kept waiting by that."""
    other = FunctionRef("other")
    release = asyncio.Event()

    async def first_waits(received: Received) -> Answer:
        if received.target == "/wait":
            await release.wait()
        return Answer(body=b"old")

    async with Replica(edge.settings.run_dir / "old.sock", first_waits) as old, _replica(edge, "new") as new:
        await deploy(edge, target_of(HELLO, old.socket, version="old"))
        call = asyncio.create_task(_get(edge, "/function/hello/wait"))
        await until(lambda: old.served == 1)
        replacing = asyncio.create_task(deploy(edge, target_of(HELLO, new.socket, version="new")))

        async def new_one_answers() -> bool:
            return (await _get(edge))[1] == "new"

        await until(new_one_answers)
        await deploy(edge, target_of(HELLO, new.socket, version="new"), target_of(other, new.socket))
        assert not replacing.done() and not call.done()
        release.set()
        await replacing
        assert call.done() and call.result() == (200, "old")
        servers = (await edge.traffic._admin.backends())[backend_name(0)].servers
    assert set(servers) == {"new-0"}


async def test_a_call_that_outlasts_its_function_is_broken_off(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draining is bounded: a stream that never ends does not keep an old version for ever."""
    monkeypatch.setattr("tidemill.edge.apply.BREAK_OFF_S", 0.2)

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while not writer.is_closing():
                writer.write(b"tick\n")
                await asyncio.sleep(0.05)
        finally:
            writer.close()

    path = edge.settings.run_dir / "endless.sock"
    server = await asyncio.start_unix_server(endless, str(path))
    await deploy(edge, target_of(HELLO, path, timeout_s=0.2))
    async with edge.client.get(f"{edge.url}/function/hello") as answer:
        await answer.content.readuntil(b"tick\n")
        await deploy(edge)
        async with asyncio.timeout(20):
            try:
                await answer.content.read()
            except Exception as error:
                assert "payload" in str(error).lower() or "closed" in str(error).lower()
    assert not (await edge.traffic._admin.backends())[backend_name(0)].servers
    server.close()


async def test_applying_twice_changes_nothing(edge: Edge) -> None:
    """The same picture again, also from a control service that starts anew, is no change at all."""
    async with _replica(edge, "one") as one:
        target = target_of(HELLO, one.socket, routes=("GET /a", "GET /b/{c}"))
        await deploy(edge, target)
        before = await edge.traffic._admin.ask("show servers state")
        await deploy(edge, target)
        await HaproxyTraffic(edge.settings).apply({HELLO: target})
        assert await edge.traffic._admin.ask("show servers state") == before


async def test_a_killed_haproxy_comes_back_with_the_same_picture(edge: Edge) -> None:
    """kill -9: after the start functions, routes and limits are there before any control service runs."""
    async with _replica(edge, "one") as one:
        await deploy(edge, target_of(HELLO, one.socket, routes=("GET /a", "GET /b/{c}"), max_body_bytes=3))
        await edge.kill()
        with pytest.raises(Unavailable):
            await edge.traffic.load()
        await edge.start()
        for path in ("/function/hello", "/a", "/b/1"):
            assert await _get(edge, path) == (200, "one")
        async with edge.client.post(f"{edge.url}/function/hello", data=b"1234") as answer:
            assert answer.status == 413


async def test_what_is_applied_while_haproxy_is_away_holds_from_its_start(edge: Edge) -> None:
    """apply says Unavailable, and HAProxy starts with the new picture."""
    async with _replica(edge, "one") as one:
        await edge.kill()
        with pytest.raises(Unavailable):
            await deploy(edge, target_of(HELLO, one.socket))
        await edge.start()
        assert await _get(edge) == (200, "one")


async def test_a_state_that_someone_changed_converges(edge: Edge) -> None:
    """Servers in maintenance, foreign servers, other limits and missing map entries are put right."""
    async with _replica(edge, "one") as one, _replica(edge, "two") as two:
        target = target_of(HELLO, one.socket, two.socket)
        await deploy(edge, target)
        admin, backend = edge.traffic._admin, backend_name(0)
        await admin.ask(f"disable server {backend}/v1-0")
        await admin.ask(f"set maxconn server {backend}/v1-1 1")
        await admin.ask(f"add server {backend}/left-over unix@{one.socket}")
        await admin.ask("clear map functions.map")
        assert (await _get(edge))[0] == 404
        await deploy(edge, target)
        servers = (await admin.backends())[backend].servers
        assert {name: (line.ready, line.max_connections) for name, line in servers.items()} == {
            "v1-0": (True, 4),
            "v1-1": (True, 4),
        }
        assert {(await _get(edge))[0] for _ in range(5)} == {200}


async def test_scaling_is_one_more_server_line(edge: Edge) -> None:
    """A slot more shares the load; a slot less is gone; limits follow."""
    async with _replica(edge, "one", after_s=0.05) as one, _replica(edge, "two", after_s=0.05) as two:
        await deploy(edge, target_of(HELLO, one.socket))
        await deploy(edge, target_of(HELLO, one.socket, two.socket, connections=2))
        assert {text for _, text in await asyncio.gather(*(_get(edge) for _ in range(4)))} == {"one", "two"}
        await deploy(edge, target_of(HELLO, one.socket, connections=1))
        assert {text for _, text in await asyncio.gather(*(_get(edge) for _ in range(4)))} == {"one"}


async def test_load_tells_what_runs_and_what_waits(edge: Edge) -> None:
    """In flight is at most what the servers take; the rest is queued."""
    async with _replica(edge, "one", after_s=1.0) as one:
        await deploy(edge, target_of(HELLO, one.socket, connections=2))
        calls = [asyncio.create_task(_get(edge)) for _ in range(5)]

        async def three_wait() -> bool:
            return (await edge.traffic.load())[HELLO].queued == 3

        await until(three_wait)
        assert (await edge.traffic.load())[HELLO].in_flight == 2
        await asyncio.gather(*calls)
        assert (await edge.traffic.load())[HELLO].total == 5


async def test_more_functions_than_spare_backends_is_one_reload(edge: Edge) -> None:
    """The pool grows, the calls of the meantime are all answered, and everything answers after it."""
    worker = await edge.worker_pid()
    refs = [FunctionRef(f"f{number}") for number in range(SPARE + 1)]
    stop = asyncio.Event()

    async def caller() -> set[int]:
        outcomes = set()
        while not stop.is_set():
            outcomes.add((await _get(edge, "/function/f0"))[0])
        return outcomes

    async with _replica(edge, "one") as one:
        await edge.traffic.apply({ref: target_of(ref, one.socket) for ref in refs[:SPARE]})
        assert await edge.worker_pid() == worker
        callers = [asyncio.create_task(caller()) for _ in range(8)]
        await edge.traffic.apply({ref: target_of(ref, one.socket) for ref in refs})
        assert await edge.worker_pid() != worker
        for ref in refs:
            assert await _get(edge, f"/function/{ref}") == (200, "one")
        stop.set()
        assert set.union(*await asyncio.gather(*callers)) == {200}


async def test_a_refused_command_ends_in_a_reload(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where HAProxy will not do what it was told at run time, it reads the picture from disk instead."""

    async def refuse(*_: object) -> None:
        raise CommandFailed("commit map: no")

    worker = await edge.worker_pid()
    monkeypatch.setattr("tidemill.edge.admin.AdminSocket.replace_map", refuse)
    async with _replica(edge, "one") as one:
        await deploy(edge, target_of(HELLO, one.socket))
        assert await _get(edge) == (200, "one")
    assert await edge.worker_pid() != worker


async def test_a_refused_configuration_changes_nothing(edge: Edge) -> None:
    """An operator's broken line: DeployFailed with HAProxy's words, the old picture goes on, also after a restart;
    with the line mended the next apply reloads."""
    extension = edge.settings.data_dir.parent / "gateway-config" / "frontend.cfg"
    extension.parent.mkdir()
    async with _replica(edge, "one") as one, _replica(edge, "two") as two:
        await deploy(edge, target_of(HELLO, one.socket))
        extension.write_text("http-request nonsense\n")
        with pytest.raises(DeployFailed, match="nonsense"):
            await deploy(edge, target_of(HELLO, two.socket, version="v2"))
        assert "nonsense" in (rejected_dir(edge.settings) / "reason.txt").read_text()
        assert await _get(edge) == (200, "one")
        extension.write_text("http-after-response set-header X-Mended yes\n")
        await deploy(edge, target_of(HELLO, two.socket, version="v2"))
        assert not rejected_dir(edge.settings).exists()
        async with edge.client.get(f"{edge.url}/function/hello") as answer:
            assert (await answer.text(), answer.headers["X-Mended"]) == ("two", "yes")


async def test_sockets_are_for_the_owner_only(edge: Edge) -> None:
    """Admin, master, figures and the trusted edge socket are 0600."""
    for name in ("haproxy-admin", "haproxy-master", "haproxy-figures", "edge"):
        assert edge.settings.socket(name).stat().st_mode & 0o777 == 0o600
