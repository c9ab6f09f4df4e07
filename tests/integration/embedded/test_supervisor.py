"""The supervisor with small real processes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.embedded.fakes import listening, shell
from tests.support.waiting import eventually
from tidemill.embedded import restart
from tidemill.embedded.children import MARK, processes_of
from tidemill.embedded.launch import Status
from tidemill.embedded.service import Logs, Service, ServiceStatus
from tidemill.embedded.supervisor import Supervisor, listen
from tidemill.embedded.talk import Refused, talk
from tidemill.lib.log import Logger

pytestmark = pytest.mark.asyncio


class Running:
    """A supervisor in this process, asked as the command line asks it."""

    def __init__(self, folder: Path, supervisor: Supervisor, task: asyncio.Task[None]) -> None:
        self.folder = folder
        self.supervisor = supervisor
        self.task = task

    async def ask(self, **request: Any) -> Any:
        def ask() -> Any:
            with talk(self.folder / "supervisor.sock", timeout_s=10) as talking:
                return talking.ask(request)

        return await asyncio.to_thread(ask)

    async def status(self, name: str) -> ServiceStatus:
        services = Status.from_wire(await self.ask(verb="status", memory=True)).services
        return next(service for service in services if service.name == name)

    async def becomes(self, name: str, holds: Callable[[ServiceStatus], bool], what: str) -> ServiceStatus:
        async def now() -> ServiceStatus | None:
            status = await self.status(name)
            return status if holds(status) else None

        found = await eventually(now, f"{name} {what}")
        assert found is not None
        return found

    async def ready(self, name: str) -> ServiceStatus:
        return await self.becomes(name, lambda status: status.state == "ready", "is ready")

    async def stop(self) -> None:
        self.supervisor.stop()
        await self.task


@asynccontextmanager
async def running(folder: Path, services: Sequence[Service]) -> AsyncIterator[Running]:
    with (folder / "supervisor.log").open("ab") as log:
        supervisor = Supervisor(
            services,
            environ={**os.environ, MARK: str(folder)},
            cwd=folder,
            logs_dir=folder,
            listener=listen(folder / "supervisor.sock"),
            log=Logger("supervisor", stream=log),
        )
        task = asyncio.create_task(supervisor.run())
        try:
            yield Running(folder, supervisor, task)
        finally:
            supervisor.stop()
            await task

    async def nothing_is_left() -> bool:
        return not processes_of(folder)

    await eventually(nothing_is_left, "no process is left behind")


async def test_what_is_started_becomes_ready_and_is_watched(tmp_path: Path) -> None:
    """All services start at once; the status has process, state and memory of each."""
    async with running(tmp_path, [listening("one", tmp_path), listening("two", tmp_path)]) as it:
        one, two = await it.ready("one"), await it.ready("two")
        assert one.pid and two.pid and one.pid != two.pid
        assert one.memory_bytes and one.memory_bytes > 1_000_000
        assert (one.restarts, one.reason, one.last_lines) == (0, "", ())


async def test_a_service_may_say_that_it_is_ready(tmp_path: Path) -> None:
    """One that nobody connects to logs an event; in its next life the event of the last one does not count."""
    line = '{"ts":"2026-01-01T00:00:00.000Z","event":"started"}'
    script = f"if [ -e lived ]; then touch again; else touch lived; echo '{line}'; fi; sleep 300"
    says = replace(shell("worker", script, tmp_path), ready=Logs("started"))
    async with running(tmp_path, [says]) as it:
        first = await it.ready("worker")
        assert first.pid
        os.kill(first.pid, signal.SIGKILL)
        await it.becomes("worker", lambda now: now.restarts == 1 and (tmp_path / "again").exists(), "was restarted")
        assert (await it.status("worker")).state == "starting"


async def test_what_is_killed_is_started_again(tmp_path: Path) -> None:
    """kill -9 of a service: soon another process of it is ready, and the status counts it."""
    async with running(tmp_path, [listening("one", tmp_path)]) as it:
        before = await it.ready("one")
        assert before.pid
        os.kill(before.pid, signal.SIGKILL)
        after = await it.becomes("one", lambda now: now.state == "ready" and now.restarts == 1, "was restarted")
        assert after.pid != before.pid


async def test_what_keeps_dying_waits_longer_and_says_why(tmp_path: Path) -> None:
    """The status has how it ended and what it printed; the other services do not care."""
    failing = shell("bad", "echo no such table >&2; exit 3", tmp_path)
    async with running(tmp_path, [failing, listening("one", tmp_path)]) as it:
        await it.ready("one")
        bad = await it.becomes("bad", lambda now: now.restarts >= 3 and now.state == "waiting", "died three times")
        assert bad.reason == "it ended with exit code 3"
        assert bad.last_lines[-1] == "no such table"
        assert '"text":"no such table"' in (tmp_path / "bad.ndjson").read_text()


async def test_a_program_that_is_not_there_is_a_death_like_any(tmp_path: Path) -> None:
    """The reason names the program."""
    missing = replace(listening("one", tmp_path), argv=("/no/such/program",))
    async with running(tmp_path, [missing]) as it:
        status = await it.becomes("one", lambda now: now.restarts >= 1, "failed")
        assert "/no/such/program cannot be started" in status.reason


async def test_services_stop_in_the_written_order(tmp_path: Path) -> None:
    """A later stage is told only when the earlier ones are gone."""
    services = [listening(name, tmp_path, stage=stage) for name, stage in (("c", 3), ("a", 1), ("b", 2))]
    async with running(tmp_path, services) as it:
        for service in services:
            await it.ready(service.name)
        await it.stop()
    assert (tmp_path / "ended").read_text().split() == ["a.sock", "b.sock", "c.sock"]


async def test_who_does_not_end_is_killed(tmp_path: Path) -> None:
    """A service that ignores the signal is gone after its grace."""
    async with running(tmp_path, [listening("deaf", tmp_path, ending="ignore", grace_s=0.2)]) as it:
        await it.ready("deaf")
        await it.stop()
    assert "service killed" in (tmp_path / "supervisor.log").read_text()


async def test_a_stop_ends_the_wait_for_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits to be started again is not waited for."""
    monkeypatch.setattr(restart, "FIRST_DELAY_S", 120.0)
    monkeypatch.setattr(restart, "MOST_DELAY_S", 120.0)
    async with running(tmp_path, [shell("bad", "exit 1", tmp_path)]) as it:
        await it.becomes("bad", lambda now: now.state == "waiting", "waits for long")
        async with asyncio.timeout(20):
            await it.stop()


async def test_one_service_is_restarted_on_request(tmp_path: Path) -> None:
    """It ends as at a stop, comes back as another process, and it is no death in its record."""
    async with running(tmp_path, [listening("one", tmp_path)]) as it:
        before = await it.ready("one")
        await it.ask(verb="restart", name="one")
        after = await it.becomes("one", lambda now: now.state == "ready" and now.pid != before.pid, "is back")
        assert after.restarts == 0
        assert (tmp_path / "ended").read_text().split() == ["one.sock"]


async def test_requests_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    """The message says what there is; the supervisor goes on."""
    async with running(tmp_path, [listening("one", tmp_path)]) as it:
        with pytest.raises(Refused, match="there is no service two; there are one"):
            await it.ask(verb="restart", name="two")
        with pytest.raises(Refused, match="the verbs are"):
            await it.ask(verb="dance")
        await it.ready("one")


async def test_what_a_dead_service_left_in_its_group_goes_too(tmp_path: Path) -> None:
    """A child that holds the pipe neither hides the death of its parent nor lives on."""
    parent = shell("parent", "sleep 300 & echo $! > child; kill -9 $$", tmp_path)
    async with running(tmp_path, [parent]) as it:
        await it.becomes("parent", lambda now: now.restarts >= 1, "died")
        child = int((tmp_path / "child").read_text())

        async def gone() -> bool:
            return child not in processes_of(tmp_path)

        await eventually(gone, "the child is gone")


async def test_a_command_after_start_runs_before_the_service_counts_as_ready(tmp_path: Path) -> None:
    """It fails the first time: the service is started again, and ready once the command succeeded."""
    once = "echo tried >> tries; [ $(wc -l < tries) -ge 2 ]"
    service = replace(listening("one", tmp_path), after_start=("/bin/sh", "-c", once))
    async with running(tmp_path, [service]) as it:
        status = await it.ready("one")
        assert status.restarts == 1
        assert (tmp_path / "tries").read_text().split() == ["tried", "tried"]


async def test_a_service_that_says_it_is_broken_is_started_again(tmp_path: Path) -> None:
    """It would go on running for ever; its words are the reason, and the next life is another process."""
    script = "if [ -e lived ]; then sleep 300; fi; touch lived; sleep 0.2; echo 'disk gone, giving up'; sleep 300"
    broken = replace(shell("store", script, tmp_path), broken_at=("giving up",))
    async with running(tmp_path, [broken]) as it:
        first = await it.becomes("store", lambda status: status.pid is not None, "runs")
        again = await it.becomes("store", lambda status: status.pid not in (None, first.pid), "runs again")
        assert again.restarts == 1
        assert "disk gone, giving up" in again.reason
