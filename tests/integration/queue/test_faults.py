"""Bad days: processes killed in the middle, servers away. Accepted means processed or dead-lettered, in the end."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

from aiohttp import web

from tests.integration.queue.servers import QUICK, Stack, connected, eventually, statuses
from tidemill.invoke.client import InvokeError


async def test_no_202_while_the_broker_is_away(stack: Stack) -> None:
    """503 with Retry-After, within a few seconds; and again 202 once it is back."""
    stack.provider.functions["fn"] = QUICK
    async with stack.running():
        await stack.submit("fn")
        stack.nats.kill()
        for _ in range(3):
            answer = await stack.call("POST", "/async-function/fn", b"x", timeout_s=4.0)
            assert answer.status == 503
            assert int(answer.header("Retry-After") or "") >= 1
            assert json.loads(answer.body)["code"] == "unavailable"
        stack.nats.start()

        async def accepted() -> bool:
            return (await stack.call("POST", "/async-function/fn", b"x")).status == 202

        await eventually(accepted)


async def test_what_was_accepted_survives_kill_9_of_the_broker(stack: Stack) -> None:
    """The server is killed twice while 32 clients submit: each accepted id is in the queue afterwards."""
    stack.provider.functions["fn"] = {}
    accepted: list[str] = []
    done = asyncio.Event()

    async def client() -> None:
        while not done.is_set():
            try:
                answer = await stack.call("POST", "/async-function/fn", b"x")
            except InvokeError:
                continue
            if answer.status == 202:
                accepted.append(answer.header("X-Call-Id") or "")
            else:
                assert answer.status == 503
                await asyncio.sleep(0.05)

    async with stack.running(worker=False):
        async with asyncio.TaskGroup() as clients:
            for _ in range(32):
                clients.create_task(client())
            for least in (300, 600):

                async def enough(least: int = least) -> bool:
                    return len(accepted) >= least

                await eventually(enough)
                stack.nats.kill()
                stack.nats.start()
            before = len(accepted)
            await eventually(lambda: _grown(accepted, before))
            done.set()
        async with connected(stack.nats, "worker") as broker:
            held = {subject.rpartition(".")[2] for subject in await broker.subjects("TM_QUEUE")}
    assert set(accepted) <= held
    assert len(set(accepted)) == len(accepted)


async def _grown(accepted: list[str], before: int) -> bool:
    return len(accepted) > before


async def test_a_worker_killed_in_mid_call_loses_nothing(stack: Stack) -> None:
    """kill -9 of the worker while calls run: another one takes them after their lease, numbered on."""
    stack.provider.functions["fn"] = QUICK
    hang = asyncio.Event()

    async def answer(request: web.Request, body: bytes) -> web.StreamResponse:
        if not hang.is_set():
            await hang.wait()
        return web.Response(text="done")

    stack.edge.answers["fn"] = answer
    async with stack.running():
        ids = [await stack.submit("fn", str(number).encode()) for number in range(10)]

        async def all_running() -> bool:
            return len(stack.edge.seen["fn"]) == 10

        await eventually(all_running)
        stack.worker.kill()
        hang.set()
        stack.worker.start()
        for call_id in ids:

            async def succeeded(call_id: str = call_id) -> bool:
                state = await stack.call("GET", f"/async-function/{call_id}")
                return bool(json.loads(state.body)["state"] == "succeeded")

            await eventually(succeeded, within_s=60)
        assert Counter(stack.edge.attempts("fn")) == {"1": 10, "2": 10}


async def test_jobs_finish_while_worker_and_broker_are_killed(stack: Stack) -> None:
    """400 jobs, some failing for good: each ends succeeded or dead, and the queue is empty."""
    stack.provider.functions["fn"] = QUICK

    async def answer(request: web.Request, body: bytes) -> web.StreamResponse:
        await asyncio.sleep(0.005)
        return web.Response(status=422 if int(body) % 20 == 0 else 200)

    stack.edge.answers["fn"] = answer
    async with stack.running(worker=False):
        ids = await asyncio.gather(*(stack.submit("fn", str(number).encode()) for number in range(400)))
        stack.worker.start()

        async def some_ran(least: int) -> bool:
            return len(stack.edge.seen["fn"]) >= least

        await eventually(lambda: some_ran(100))
        stack.worker.kill()
        stack.worker.start()
        await eventually(lambda: some_ran(200))
        stack.nats.kill()
        stack.nats.start()
        async with connected(stack.nats, "worker") as broker:

            async def empty() -> bool:
                return await broker.count("TM_QUEUE") == 0

            await eventually(empty, within_s=90)
        ends: Counter[str] = Counter()
        for call_id in ids:
            ends[json.loads((await stack.call("GET", f"/async-function/{call_id}")).body)["state"]] += 1
    assert ends == {"succeeded": 380, "dead": 20}


async def test_a_worker_that_is_stopped_hands_back_its_work(stack: Stack) -> None:
    """SIGTERM: exit 0, the calls under way are finished, the others run on the next worker without waiting for a
    lease."""
    stack.provider.functions["fn"] = {**QUICK, "com.tidemill.queue.inflight": "1"}

    async def answer(request: web.Request, body: bytes) -> web.StreamResponse:
        await asyncio.sleep(0.2)
        return web.Response(text="done")

    stack.edge.answers["fn"] = answer
    async with stack.running():
        ids = [await stack.submit("fn") for _ in range(4)]

        async def one_runs() -> bool:
            return len(stack.edge.seen["fn"]) == 1

        await eventually(one_runs)
        assert await asyncio.to_thread(stack.worker.stop) == 0
        stack.worker.start()

        async def all_done() -> bool:
            states = [json.loads((await stack.call("GET", f"/async-function/{each}")).body)["state"] for each in ids]
            return states == ["succeeded"] * 4

        await eventually(all_done, within_s=10)
    assert len(stack.edge.seen["fn"]) == 4


async def test_jobs_wait_while_the_edge_is_away(stack: Stack) -> None:
    """Nothing is tried, so no attempt is used up."""
    stack.provider.functions["fn"] = {**QUICK, "com.openfaas.retry.attempts": "1"}
    socket = stack.settings.socket("edge")
    async with stack.running():
        aside = socket.with_suffix(".aside")
        socket.rename(aside)
        call_id = await stack.submit("fn")

        async def worker_noticed() -> bool:
            return "edge unreachable" in stack.logs["worker"].read_text()

        await eventually(worker_noticed)
        aside.rename(socket)

        async def succeeded() -> bool:
            return bool(
                json.loads((await stack.call("GET", f"/async-function/{call_id}")).body)["state"] == "succeeded"
            )

        await eventually(succeeded)
    assert stack.edge.attempts("fn") == ["1"]


async def test_the_platform_turning_calls_away_kills_no_job(stack: Stack) -> None:
    """More 503s with the platform's mark than the function has attempts, then success."""
    stack.provider.functions["fn"] = QUICK
    away = statuses(503, **{"X-OpenFaaS-Internal": "edge"})
    seen = 0

    async def answer(request: web.Request, body: bytes) -> web.StreamResponse:
        nonlocal seen
        seen += 1
        return await away(request, body) if seen <= 8 else web.Response(text="done")

    stack.edge.answers["fn"] = answer
    async with stack.running():
        call_id = await stack.submit("fn")

        async def succeeded() -> bool:
            return bool(
                json.loads((await stack.call("GET", f"/async-function/{call_id}")).body)["state"] == "succeeded"
            )

        await eventually(succeeded)
    assert seen == 9


async def test_the_provider_being_away_is_not_an_unknown_function(stack: Stack) -> None:
    """A function that is not in the door's picture: 503 while control cannot be asked, never 404."""
    async with stack.running():
        stack.provider.is_away = True
        answer = await stack.call("POST", "/async-function/fresh")
    assert answer.status == 503


async def test_a_door_killed_between_record_and_message_loses_no_keyed_call(stack: Stack) -> None:
    """The reservation is there, the message is not: the repeat brings it about, under the first id."""
    stack.provider.functions["fn"] = QUICK
    async with stack.running(worker=False):
        first = await stack.submit("fn", b"x", Idempotency_Key="k")
        async with connected(stack.nats, "door") as broker:
            stored = await broker.last("TM_QUEUE", f"tm.queue.*.*.{first}")
            assert stored is not None
            await broker.delete("TM_QUEUE", stored.sequence)
            keys = await broker.subjects("KV_tm_idempotency")
            bucket_key = keys[0].rpartition(".")[2]
            record = json.loads(await broker.key_get("tm_idempotency", bucket_key) or b"")
            record["accepted"] = False
            await broker.key_put("tm_idempotency", bucket_key, json.dumps(record).encode())
            stack.nats.kill()  # forgets the message id, as time would
            stack.nats.start()

            async def repeated() -> bool:
                answer = await stack.call("POST", "/async-function/fn", b"x", Idempotency_Key="k")
                return answer.status == 202 and answer.header("X-Call-Id") == first

            await eventually(repeated)
            assert await broker.count("TM_QUEUE") == 1


async def test_messages_of_a_removed_function_become_dead_letters(stack: Stack) -> None:
    """After the grace period; with a code of their own."""
    stack.provider.functions["fn"] = QUICK
    stack.edge.answers["fn"] = statuses(503, **{"X-OpenFaaS-Internal": "edge", "Retry-After": "3600"})
    async with stack.running():
        call_id = await stack.submit("fn")

        async def tried() -> bool:
            return bool(stack.edge.seen["fn"])

        await eventually(tried)
        del stack.provider.functions["fn"]

        async def dead() -> bool:
            answer = await stack.call("GET", f"/system/dead-letters/{call_id}")
            return answer.status == 200 and json.loads(answer.body)["code"] == "function_removed"

        await eventually(dead, within_s=90)


async def test_a_line_outlives_its_consumer(stack: Stack) -> None:
    """Deleted behind its back, the consumer is made again, and calls go on."""
    stack.provider.functions["fn"] = QUICK
    async with stack.running():
        await stack.submit("fn")

        async def ran(times: int) -> bool:
            return len(stack.edge.seen["fn"]) == times

        await eventually(lambda: ran(1))
        async with connected(stack.nats, "worker") as broker:
            await broker.delete_consumer("TM_QUEUE", "openfaas-fn_fn")
        await stack.submit("fn")
        await eventually(lambda: ran(2))
