"""What happens when something cannot start or dies, against a real spawner."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest

from tests.integration.spawner.conftest import HELLO, Functions, Running, caller, start_on
from tests.support.waiting import eventually, wait_until
from tidemill.contract.errors import DeployFailed, NotFound, Unavailable
from tidemill.spawn.client import SpawnerClient

PID = """
    import os, time

    def handle(event, context):
        time.sleep(float(event.query.get("s", 0)))
        return str(os.getpid())
"""


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def handle(event, context)\n    pass\n", "SyntaxError: expected ':'"),
        ("def other():\n    pass\n", "function/handler.py has no function named handle"),
        ("handle = 3\n", "function/handler.py has no function named handle"),
        ("import sys\nsys.exit('no configuration')\n", "SystemExit: no configuration"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "ended by signal 11"),
        ("import os\nos._exit(3)\n", "exited with status 3"),
    ],
)
async def test_start_says_why_it_failed(functions: Functions, code: str, reason: str) -> None:
    """`start` returns `failed` with the traceback's last line, or with how the process ended."""
    status = await functions.start(await functions.put(code))
    assert status.state == "failed" and status.pid is None
    assert status.reason is not None and reason in status.reason


async def test_spawner_answers_for_a_function_that_cannot_start(functions: Functions) -> None:
    """Callers get 503 with the reason at once, also with a body on the way; the log has the whole traceback."""
    slot = await functions.put("import no_such_module\n")
    await functions.start(slot)
    async with caller(slot) as http:
        for content in (b"", b"x" * 300_000):
            answer = await http.post("/", content=content)
            assert answer.status_code == 503
            assert answer.headers["X-OpenFaaS-Internal"] == "spawner"
            assert int(answer.headers["Retry-After"]) >= 1
            assert "No module named 'no_such_module'" in answer.json()["error"]
    line = wait_until(lambda: functions.line(slot, "start failed"), "the log has it")
    assert "import no_such_module" in line["traceback"]


async def test_function_that_can_start_again_does(functions: Functions, tmp_path: Path) -> None:
    """After the delay the next connection tries anew; nobody has to deploy again."""
    flag = functions.folder / "flag"
    slot = await functions.put(
        f"""
        import pathlib
        assert pathlib.Path({str(flag)!r}).exists(), "not yet"

        def handle(event, context):
            return "now"
        """
    )
    assert (await functions.start(slot)).state == "failed"
    flag.touch()
    async with caller(slot) as http:

        async def answered() -> bool:
            return (await http.get("/")).status_code == 200

        await eventually(answered, "the function starts")
    await functions.ready(slot)


async def test_killed_replica_is_replaced_at_the_next_call(functions: Functions) -> None:
    """kill -9 in mid-call costs the calls it had; the next one is served by a new process."""
    slot = await functions.put(PID)
    started = await functions.start(slot)
    assert started.pid
    async with caller(slot) as http:
        call = asyncio.create_task(http.get("/?s=30"))

        async def taken() -> bool:
            return "http_requests_in_flight 1.0" in (await http.get("/_/metrics")).text

        await eventually(taken, "the call is in hand")
        os.kill(started.pid, signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            await call
    async with caller(slot) as http:
        assert int((await http.get("/")).text) != started.pid
    assert (await functions.ready(slot)).restarts == 1


async def test_crash_loop_backs_off(functions: Functions) -> None:
    """A replica that dies with each call is not forked for each call: the spawner answers 503 meanwhile."""
    slot = await functions.put("import os\ndef handle(e, c):\n    os._exit(7)\n")
    async with caller(slot) as http:

        async def refused() -> bool:
            try:
                return (await http.get("/")).status_code == 503
            except httpx.TransportError:
                return False

        await eventually(refused, "the spawner refuses")
        answer = await http.get("/")
    assert "exited with status 7" in answer.json()["error"]


async def test_killed_zygote_is_started_again(own_functions: Functions, own: Running) -> None:
    """kill -9 of a zygote takes its replicas along; the next call is served by a new one."""
    slot = await own_functions.put(PID)
    pid = (await own_functions.start(slot)).pid
    assert pid
    os.kill(_parent(pid), signal.SIGKILL)
    wait_until(lambda: not _alive(pid), "the replica is gone with it")
    async with caller(slot) as http:

        async def answered() -> int:
            try:
                answer = await http.get("/")
            except httpx.TransportError:
                return 0
            return int(answer.text) if answer.status_code == 200 else 0

        assert await eventually(answered, "the function answers again") != pid


async def test_killed_spawner_leaves_nothing_behind(own_functions: Functions, own: Running) -> None:
    """kill -9 of the spawner ends its zygotes and replicas, what a function started itself included."""
    slot = await own_functions.put(
        """
        import os, subprocess
        child = subprocess.Popen(["sleep", "300"])

        def handle(event, context):
            return f"{os.getppid()} {os.getpid()} {child.pid}"
        """
    )
    async with caller(slot) as http:
        pids = [int(text) for text in (await http.get("/")).text.split()]
    own.process.kill()
    for pid in pids:
        wait_until(lambda pid=pid: not _alive(pid), f"process {pid} is gone")  # type: ignore[misc]


async def test_replica_takes_its_children_along(functions: Functions) -> None:
    """What a function started itself ends with its replica."""
    slot = await functions.put(
        """
        import subprocess
        child = subprocess.Popen(["sleep", "300"])

        def handle(event, context):
            return str(child.pid)
        """
    )
    async with caller(slot) as http:
        child = int((await http.get("/")).text)
    await functions.client.stop(slot.ref, slot.version, 0)
    wait_until(lambda: not _alive(child), "the child is gone")


async def test_sigterm_drains_and_exits_cleanly(own_functions: Functions, own: Running) -> None:
    """The spawner finishes every call before it ends with status 0."""
    slot = await own_functions.put(PID)
    async with caller(slot) as http:
        call = asyncio.create_task(http.get("/?s=0.7"))

        async def taken() -> bool:
            return "http_requests_in_flight 1.0" in (await http.get("/_/metrics")).text

        await eventually(taken, "the call is in hand")
        status = await asyncio.to_thread(own.stop)
        assert (await call).status_code == 200
    assert status == 0


async def test_unknown_slot_version_and_interpreter(functions: Functions) -> None:
    """Errors come back as what they are; dropping what is not there is none."""
    with pytest.raises(NotFound, match="was not put"):
        await functions.client.start("ghost.openfaas-fn", "0" * 12, 0)
    await functions.client.drop("ghost.openfaas-fn", "0" * 12)
    with pytest.raises(DeployFailed, match="no/such/python"):
        await functions.put(HELLO, python="/no/such/python", env_hash="nowhere")


async def test_environment_without_the_server_says_so(functions: Functions) -> None:
    """An interpreter that cannot run a zygote fails the start with what it printed last."""
    broken = functions.folder / "python"
    broken.write_text("#!/bin/sh\necho 'no module named flask' >&2\nexit 1\n")
    broken.chmod(0o755)
    status = await functions.start(await functions.put(HELLO, python=str(broken), env_hash="broken"))
    assert status.state == "failed"
    assert "no module named flask" in (status.reason or "")


async def test_client_finds_the_spawner_again(own: Running, tmp_path: Path) -> None:
    """While the spawner is away every verb raises Unavailable; when it is back the same client works."""
    async with SpawnerClient(own.settings.socket("spawner")) as client:
        assert await client.list() == []
        own.process.kill()
        own.process.wait()

        async def away() -> bool:
            try:
                await client.list()
            except Unavailable:
                return True
            return False

        await eventually(away, "the client notices")
        own.process = start_on(own.settings, tmp_path)

        async def back() -> bool:
            return not await away()

        await eventually(back, "the client is connected again")


def _parent(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1])


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
