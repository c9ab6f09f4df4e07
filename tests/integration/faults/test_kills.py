"""kill -9 of every part while 2,000 jobs run: each accepted job ends processed or dead-lettered, none twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.integration.faults.load import Load, is_hopeless
from tests.integration.faults.verdict import Verdict
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


def one_after_another(*names: str) -> Callable[[Platform], None]:
    """A different one at every strike."""
    left = list(names)
    return lambda stack: stack.kill(left.pop(0))


VICTIMS = {
    **{name: (service(name), 2) for name in ("nats", "mongo", "haproxy", "worker")},
    "replicas in mid-call": (kill_replicas, 2),
    "zygotes": (kill_zygotes, 2),
    "door, spawner, control, logs": (one_after_another("door", "spawner", "control", "logs"), 4),
}
IN_MID_CALL = ("worker", "replicas in mid-call")
"""Whoever kills these must have cut off calls, or the test tried nothing."""


async def run(stack: Platform, load: Load, strike: Callable[[Platform], None], *, times: int) -> None:
    """Strikes again and again while jobs are submitted and run."""
    async with load.submitting():
        for number in range(times):
            await load.processed(load.count * (1 + number) // (times + 2))
            await asyncio.to_thread(strike, stack)
            await asyncio.to_thread(stack.await_ready)


def assert_promise_kept(load: Load, verdict: Verdict) -> None:
    assert verdict.kept, verdict
    assert len(set(load.accepted.values())) == load.count
    keyed = [job for job in load.accepted.values() if job % 2]
    assert len(keyed) == len(set(keyed)), "an Idempotency-Key made two calls"
    hopeless = {job for job in load.accepted.values() if is_hopeless(job)}
    assert load.ends()["dead"] >= len(hopeless)
    assert set(load.effects()) == set(range(load.count)) - hopeless
    for answer in load.refused:
        assert answer.status >= 500, answer
        assert answer.header("X-Call-Id"), answer


@pytest.mark.parametrize("victim", VICTIMS)
async def test_jobs_outlive(stack: Platform, effects: str, victim: str) -> None:
    """Killed several times, while jobs come in and run."""
    strike, times = VICTIMS[victim]
    load = Load(stack, effects, JOBS)
    await run(stack, load, strike, times=times)
    assert_promise_kept(load, await load.end())
    assert victim not in IN_MID_CALL or load.attempts() > 1, "no call was cut off"


async def test_jobs_outlive_the_whole_tree(stack: Platform, effects: str) -> None:
    """The supervisor and everything it started, by pid, as a power cut would; then started again."""
    load = Load(stack, effects, JOBS)

    def cut_power(stack: Platform) -> None:
        stack.kill_all()
        stack.start()

    await run(stack, load, cut_power, times=2)
    assert_promise_kept(load, await load.end())
    assert load.attempts() > 1, "no call was cut off"
