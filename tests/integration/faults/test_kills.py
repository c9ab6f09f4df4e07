"""kill -9 of every part while 2,000 jobs run: each accepted job ends processed or dead-lettered, none twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.integration.faults.load import Load
from tests.support.platform import Platform
from tests.support.processes import kill, replicas, zygotes

pytestmark = [pytest.mark.stack, pytest.mark.faults]

JOBS = 2_000


def kill_replicas(stack: Platform) -> None:
    for pid in replicas(stack, "effects"):
        kill(pid)


def kill_zygotes(stack: Platform) -> None:
    for pid in zygotes(stack):
        kill(pid)


def service(name: str) -> Callable[[Platform], None]:
    return lambda stack: stack.kill(name)


VICTIMS = {
    **{name: service(name) for name in ("nats", "mongo", "haproxy", "worker", "door", "spawner", "control", "logs")},
    "zygotes": kill_zygotes,
    "replicas in mid-call": kill_replicas,
}


async def run(stack: Platform, load: Load, strike: Callable[[], None], *, times: int = 2) -> None:
    """Strikes while jobs are submitted and run, and again when half of what is left is done."""
    async with load.submitting():
        for strike_number in range(times):
            await load.processed(load.count * (1 + 2 * strike_number) // 8)
            await asyncio.to_thread(strike)
            await asyncio.to_thread(stack.await_ready)


def assert_promise_kept(load: Load, verdict: object) -> None:
    assert getattr(verdict, "kept", False), verdict
    assert len(set(load.accepted.values())) == load.count
    keyed = [job for job in load.accepted.values() if job % 2]
    assert len(keyed) == len(set(keyed)), "an Idempotency-Key made two calls"
    hopeless = {job for job in load.accepted.values() if job % 50 == 7}
    assert load.ends()["dead"] >= len(hopeless)
    assert set(load.effects()) == set(range(load.count)) - hopeless
    for answer in load.refused:
        assert answer.status >= 500, answer
        assert answer.header("X-Call-Id"), answer


@pytest.mark.parametrize("victim", VICTIMS)
async def test_jobs_outlive(stack: Platform, effects: str, victim: str) -> None:
    """Killed twice, while jobs come in and run."""
    load = Load(stack, effects, JOBS)
    await run(stack, load, lambda: VICTIMS[victim](stack))
    assert_promise_kept(load, await load.end())


async def test_jobs_outlive_the_whole_tree(stack: Platform, effects: str) -> None:
    """The supervisor and everything it started, by pid, as a power cut would; then started again."""
    load = Load(stack, effects, JOBS)

    def cut_power() -> None:
        stack.kill_all()
        stack.start()

    await run(stack, load, cut_power)
    assert_promise_kept(load, await load.end())
    assert load.attempts() > 1, "no job was in hand when it happened"
