"""The loop that brings functions back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.unit.provider.conftest import Provider
from tidemill.contract.errors import Unavailable
from tidemill.lib.log import Logger
from tidemill.provider import keeper as module
from tidemill.provider.keeper import Keeper
from tidemill.provider.records import FunctionRecord


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    monkeypatch.setattr(module, "START_RETRY_S", 0.01)


@asynccontextmanager
async def keeping(provider: Provider) -> AsyncIterator[None]:
    log = Logger("control", stream=provider.log)
    keeper = Keeper(functions=provider.functions, namespaces=provider.namespaces, backend=provider.backend, log=log)
    task = asyncio.create_task(keeper.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 -- what is waited for has no event
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("missing", ["store", "backend"])
async def test_it_waits_for_the_broker_and_the_spawner(fresh: Provider, missing: str) -> None:
    """However long they take; what it waits for is said once."""
    part = getattr(fresh, missing)
    await fresh.functions.reconcile()
    await fresh.deploy()
    fresh.functions.loaded = False
    part.reachable = False
    async with keeping(fresh):
        await eventually(lambda: b'"waiting"' in fresh.log.getvalue())
        assert (await fresh.client.get("/healthz")).status_code == 503
        part.reachable = True
        await eventually(lambda: fresh.functions.loaded)
        assert (await fresh.client.get("/healthz")).status_code == 200
    assert fresh.log.getvalue().count(b'"waiting"') == 1


async def test_replicas_wanted_at_rest_are_started(provider: Provider) -> None:
    """After a restart nobody has to call first."""
    await provider.deploy()
    provider.backend.restart()
    provider.functions.loaded = False
    async with keeping(provider):
        await eventually(lambda: any(s.state == "ready" for each in provider.backend.puts.values() for s in each))


async def test_a_spawner_that_comes_and_goes_is_followed(provider: Provider) -> None:
    """The loop never ends by itself."""
    await provider.deploy()
    async with keeping(provider):
        await eventually(lambda: b'"ready"' in provider.log.getvalue())
        provider.backend.reachable = False
        provider.backend.restart()
        with pytest.raises(Unavailable):
            await provider.backend.list()
        provider.backend.reachable = True
        await eventually(lambda: len(provider.backend.puts) == 1)


async def test_disk_is_given_back_now_and_then(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start, and again while it runs."""
    tidied: list[int] = []

    async def tidy(records: Sequence[FunctionRecord]) -> None:
        tidied.append(len(records))

    monkeypatch.setattr(module, "TIDY_EVERY_S", 0.0)
    monkeypatch.setattr(provider.backend, "tidy", tidy)
    await provider.deploy()
    async with keeping(provider):
        await eventually(lambda: len(tidied) >= 3)
    assert set(tidied) == {1}
