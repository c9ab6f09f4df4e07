"""The judges judged: each promise broken on purpose, outside the product, and seen by the same verdict."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.faults.conftest import deploy_effects
from tests.integration.faults.load import Load
from tests.integration.faults.verdict import Verdict, judge
from tests.integration.queue import servers
from tests.support.platform import Platform
from tests.support.processes import held_down, kill, replicas
from tidemill.broker.base import Delivery
from tidemill.contract.names import STREAM_QUEUE, FunctionRef, queue_filter
from tidemill.invoke.client import Client
from tidemill.queue.worker import consumer_name

pytestmark = [pytest.mark.stack, pytest.mark.faults]


@pytest.fixture
def careless(stack: Platform) -> Iterator[str]:
    """The counting function without its guard; each call takes a moment after its effect."""
    yield deploy_effects(stack, "careless", guard="off", pause="50ms")
    stack.remove("careless")


async def test_an_effect_without_a_guard_would_be_seen(stack: Platform, careless: str) -> None:
    """Its replicas are killed between effect and answer: some jobs are counted twice."""
    load = Load(stack, careless, 200)
    async with load.submitting():
        for least in (20, 60, 100):
            await load.processed(least)
            for pid in replicas(stack, careless):
                kill(pid)
    verdict = await load.end()
    assert verdict.doubled
    assert not verdict.lost


async def test_a_queue_that_forgets_would_be_seen(stack: Platform, effects: str) -> None:
    """What was acknowledged since is missing on the disk after a power cut, as without an fsync before each ack."""
    store = stack.settings.data_dir / "nats"
    older = stack.settings.data_dir / "nats-before"
    await asyncio.to_thread(stack.stop)
    shutil.copytree(store, older)
    await asyncio.to_thread(stack.start)
    load = Load(stack, effects, 50)
    async with load.submitting():
        pass
    await asyncio.to_thread(_cut_power_and_restore, stack, store, older)
    verdict = await load.end(timeout_s=2)
    assert set(verdict.lost) == set(load.accepted)


def _cut_power_and_restore(stack: Platform, store: Path, older: Path) -> None:
    stack.kill_all()
    shutil.rmtree(store)
    older.rename(store)
    stack.start()


class TooEarly(Load):
    """A door that answers 202 and brings the message to the queue afterwards."""

    async def _submit(self, client: Client, job: int) -> bool:
        call_id = f"early-{self.ledger}-{job}"
        self.accepted[call_id] = job
        await self._send(client, job, ("X-Call-Id", call_id))
        return True


async def test_a_door_that_answers_before_the_ack_would_be_seen(stack: Platform, effects: str) -> None:
    """With the broker away its word is worth nothing."""
    load = TooEarly(stack, effects, 10)
    with held_down(stack, "nats"):
        async with load.submitting():
            pass
    verdict = await load.end(timeout_s=5)
    assert set(verdict.lost) == set(load.accepted)


async def test_a_worker_that_acks_before_the_call_would_be_seen(tmp_path: Path) -> None:
    """It dies between the two: nobody will ever run those jobs."""
    stack = servers.Stack(tmp_path)
    stack.provider.functions["fn"] = servers.QUICK
    ref = FunctionRef("fn")
    async with stack.running(worker=False):
        accepted = {await stack.submit("fn", str(job).encode()): job for job in range(20)}
        async with servers.connected(stack.nats, "worker") as broker:
            acked: list[Delivery] = []

            def ack_first(delivery: Delivery | None) -> None:
                if delivery is not None:
                    broker.ack(delivery)
                    acked.append(delivery)

            await broker.ensure_consumer(STREAM_QUEUE, consumer_name(ref), queue_filter(ref), lease_s=15)
            intake = await broker.intake(STREAM_QUEUE, consumer_name(ref), ack_first)
            intake.ask(len(accepted))

            async def all_acked() -> bool:
                return len(acked) == len(accepted)

            await servers.eventually(all_acked)
        stack.worker.start()
        late = await stack.submit("fn", b"99")
        await servers.eventually(lambda: _has_ended(stack, late))
        verdict = await _judged(stack, accepted)
    assert set(verdict.lost) == set(accepted)


async def _has_ended(stack: servers.Stack, call_id: str) -> bool:
    return b"ended_at" in (await stack.call("GET", f"/async-function/{call_id}")).body


async def _judged(stack: servers.Stack, accepted: dict[str, int]) -> Verdict:
    states = {}
    for call_id in accepted:
        if await _has_ended(stack, call_id):
            states[call_id] = "succeeded"
    return judge(accepted, states, {int(body): 1 for _, body in stack.edge.seen["fn"]})


def test_a_job_without_its_effect_would_be_seen() -> None:
    """A call that the platform counts as succeeded although nothing was done."""
    assert judge({"a": 1, "b": 2}, {"a": "succeeded", "b": "dead"}, {}) == Verdict(undone=[1])
