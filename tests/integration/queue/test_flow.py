"""Door, worker and a real nats-server; functions are scripted."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from aiohttp import web

from tests.integration.queue.servers import QUICK, Stack, eventually, statuses


async def state_of(stack: Stack, call_id: str) -> dict[str, Any]:
    answer = await stack.call("GET", f"/async-function/{call_id}")
    found: dict[str, Any] = json.loads(answer.body)
    return found


async def in_state(stack: Stack, call_id: str, state: str) -> dict[str, Any]:
    async def check() -> dict[str, Any] | None:
        found = await state_of(stack, call_id)
        return found if found.get("state") == state else None

    found: dict[str, Any] = await eventually(check)
    return found


async def test_a_call_is_carried_to_the_function_and_its_answer_kept(stack: Stack) -> None:
    """Method, path, query, headers and body arrive; the result can be fetched; the queue is empty."""
    stack.provider.functions["echo"] = QUICK

    async def echo(request: web.Request, body: bytes) -> web.StreamResponse:
        return web.Response(status=201, body=body[::-1], content_type="application/x-test")

    stack.edge.answers["echo"] = echo
    async with stack.running():
        accepted = await stack.call(
            "POST", "/async-function/echo/a%20b/c?q=1&q=2", b"abc", X_Own="yes", X_Correlation_Id="corr-1"
        )
        assert accepted.status == 202 and accepted.body == b""
        call_id = accepted.header("X-Call-Id") or ""
        assert accepted.header("Location") == f"/async-function/{call_id}"
        assert (accepted.header("X-Start-Time") or "").isdigit()
        found = await in_state(stack, call_id, "succeeded")
        result = await stack.call("GET", f"/async-function/{call_id}/result")
    assert (result.status, result.body, result.header("content-type")) == (201, b"cba", "application/x-test")
    request, body = stack.edge.seen["echo"][0]
    assert request.raw_path == "/function/echo.openfaas-fn/a%20b/c?q=1&q=2"
    assert body == b"abc"
    assert request.headers["X-Own"] == "yes"
    assert request.headers["X-Call-Id"] == call_id
    assert request.headers["X-Tidemill-Attempt"] == "1"
    assert found["correlation_id"] == "corr-1"
    assert found["function"] == "echo.openfaas-fn"
    assert found["result"] == {"status": 201, "content_type": "application/x-test", "size_bytes": 3}
    assert [attempt["number"] for attempt in found["attempts"]] == [1]


async def test_failures_are_tried_again_with_rising_attempt_numbers(stack: Stack) -> None:
    """500, then 503, then success: three attempts, all in the state."""
    stack.provider.functions["shaky"] = QUICK
    stack.edge.answers["shaky"] = statuses(500, 503, 200)
    async with stack.running():
        found = await in_state(stack, await stack.submit("shaky"), "succeeded")
    assert [attempt.get("status") for attempt in found["attempts"]] == [500, 503, 200]
    assert stack.edge.attempts("shaky") == ["1", "2", "3"]


async def test_attempts_used_up_make_a_dead_letter_that_can_be_redriven(stack: Stack) -> None:
    """The dead letter has reason, attempts, headers and payload; redriven it is the same call, from attempt 1."""
    stack.provider.functions["bad"] = QUICK
    stack.edge.answers["bad"] = statuses(500)
    async with stack.running():
        call_id = await stack.submit("bad", b"payload", X_Own="yes")
        await in_state(stack, call_id, "dead")
        listed = json.loads((await stack.call("GET", "/system/dead-letters?function=bad")).body)
        assert [letter["call_id"] for letter in listed] == [call_id]
        assert "payload" not in listed[0]
        shown = json.loads((await stack.call("GET", f"/system/dead-letters/{call_id}")).body)
        assert shown["code"] == "attempts_used_up"
        assert "500" in shown["reason"]
        assert [attempt["number"] for attempt in shown["attempts"]] == [1, 2, 3]
        assert base64.b64decode(shown["payload"]) == b"payload"
        assert shown["headers"]["x-own"] == "yes"

        stack.edge.answers["bad"] = statuses(200)
        redriven = await stack.call("POST", f"/system/dead-letters/{call_id}/redrive")
        assert (redriven.status, json.loads(redriven.body)) == (202, {"call_id": call_id, "redriven": 1})
        found = await in_state(stack, call_id, "succeeded")
        assert [attempt["number"] for attempt in found["attempts"]] == [1]
        assert json.loads((await stack.call("GET", "/system/dead-letters")).body) == []


async def test_an_error_that_cannot_succeed_is_given_up_at_once(stack: Stack) -> None:
    """A 400 of the function is final: one attempt, code gave_up, and the answer is kept."""
    stack.provider.functions["strict"] = QUICK
    stack.edge.answers["strict"] = statuses(400)
    async with stack.running():
        call_id = await stack.submit("strict")
        found = await in_state(stack, call_id, "dead")
        assert len(found["attempts"]) == 1
        shown = json.loads((await stack.call("GET", f"/system/dead-letters/{call_id}")).body)
        assert shown["code"] == "gave_up"
        result = await stack.call("GET", f"/async-function/{call_id}/result")
        assert (result.status, result.body) == (400, b"answer 400")
        purged = await stack.call("DELETE", f"/system/dead-letters/{call_id}")
        assert json.loads(purged.body) == {"purged": 1}
        assert (await stack.call("GET", f"/system/dead-letters/{call_id}")).status == 404


async def test_large_bodies_and_answers_travel_by_claim_check(stack: Stack) -> None:
    """1.5 MiB in and out, more than a message holds; above the limit 413 names it."""
    stack.provider.functions["big"] = QUICK

    async def echo(request: web.Request, body: bytes) -> web.StreamResponse:
        return web.Response(body=body)

    stack.edge.answers["big"] = echo
    body = bytes(range(256)) * 6 * 1024
    async with stack.running():
        call_id = await stack.submit("big", body)
        await in_state(stack, call_id, "succeeded")
        result = await stack.call("GET", f"/async-function/{call_id}/result")
        assert result.body == body
        refused = await stack.call("POST", "/async-function/big", b"x" * (2 * 1024 * 1024 + 1))
        assert refused.status == 413
        assert str(2 * 1024 * 1024) in json.loads(refused.body)["error"]


async def test_a_cancelled_call_does_not_start(stack: Stack) -> None:
    """Cancelled while it waits for its next attempt: never attempted again; cancelling twice is a conflict."""
    stack.provider.functions["slow"] = {
        **QUICK,
        "com.openfaas.retry.min_wait": "1h",
        "com.openfaas.retry.max_wait": "1h",
    }
    stack.edge.answers["slow"] = statuses(500)
    async with stack.running():
        call_id = await stack.submit("slow")
        waiting = await in_state(stack, call_id, "retrying")
        assert "next_attempt_at" in waiting
        assert (await stack.call("DELETE", f"/async-function/{call_id}")).status == 202
        assert (await state_of(stack, call_id))["state"] == "cancelled"
        assert (await stack.call("DELETE", f"/async-function/{call_id}")).status == 409
        assert (await stack.call("GET", f"/async-function/{call_id}/result")).status == 409


async def test_a_running_call_says_so(stack: Stack) -> None:
    """While the function has it, the state is running and shows since when."""
    stack.provider.functions["long"] = QUICK
    go = asyncio.Event()

    async def wait(request: web.Request, body: bytes) -> web.StreamResponse:
        await go.wait()
        return web.Response(text="done")

    stack.edge.answers["long"] = wait
    async with stack.running():
        call_id = await stack.submit("long")
        found = await in_state(stack, call_id, "running")
        assert found["attempts"][-1]["number"] == 1
        go.set()
        await in_state(stack, call_id, "succeeded")


async def test_a_callback_to_a_function_carries_the_result(stack: Stack) -> None:
    """openfaas-compat 4.3: body and headers of the answer, and the set that says what it is."""
    stack.provider.functions |= {"work": QUICK, "hook": QUICK}

    async def answer(request: web.Request, body: bytes) -> web.StreamResponse:
        return web.Response(text="result", headers={"X-Of-Function": "1"})

    stack.edge.answers |= {"work": answer, "hook": statuses(503, 200)}
    async with stack.running():
        call_id = await stack.submit("work", X_Callback_Url="/function/hook?x=1")

        async def called_back() -> bool:
            return len(stack.edge.seen["hook"]) == 2

        await eventually(called_back)
    request, body = stack.edge.seen["hook"][1]
    assert request.path_qs == "/function/hook?x=1"
    assert body == b"result"
    assert request.headers["X-Call-Id"] == call_id
    assert request.headers["X-Function-Status"] == "200"
    assert request.headers["X-Function-Name"] == "work.openfaas-fn"
    assert float(request.headers["X-Duration-Seconds"]) >= 0
    assert request.headers["X-Of-Function"] == "1"


async def test_the_final_failure_is_called_back_too(stack: Stack) -> None:
    """With the status of the last attempt, and how many there were."""
    stack.provider.functions |= {"work": QUICK, "hook": QUICK}
    stack.edge.answers |= {"work": statuses(502), "hook": statuses(200)}
    async with stack.running():
        await stack.submit("work", X_Callback_Url="/function/hook")

        async def called_back() -> bool:
            return bool(stack.edge.seen["hook"])

        await eventually(called_back)
    headers = stack.edge.seen["hook"][0][0].headers
    assert (headers["X-Function-Status"], headers["X-Retry"], headers["X-Retry-Max"]) == ("502", "2", "3")


async def test_what_the_door_refuses(stack: Stack) -> None:
    """Unknown functions, private callbacks, foreign methods, missing logins: each with its status."""
    stack.provider.functions["known"] = QUICK
    async with stack.running():
        unknown = await stack.call("POST", "/async-function/nobody")
        assert (unknown.status, json.loads(unknown.body)["code"]) == (404, "function_not_found")
        assert unknown.header("X-OpenFaaS-Internal") == "door"
        private = await stack.call("POST", "/async-function/known", X_Callback_Url="http://169.254.169.254/latest")
        assert private.status == 400
        assert (await stack.call("PUT", "/async-function/known")).status == 405
        no_login = await stack.client.request("GET", "/system/dead-letters", timeout_s=5)
        assert (no_login.status, no_login.header("WWW-Authenticate")) == (401, 'Basic realm="Restricted"')


async def test_an_idempotency_key_is_one_message(stack: Stack) -> None:
    """Twenty at once with one key: one id, one call of the function; another body is refused."""
    stack.provider.functions["once"] = QUICK
    async with stack.running():
        ids = await asyncio.gather(*(stack.submit("once", b"same", Idempotency_Key="k1") for _ in range(20)))
        assert len(set(ids)) == 1
        await in_state(stack, ids[0], "succeeded")
        assert await stack.submit("once", b"same", Idempotency_Key="k1") == ids[0]
        other = await stack.call("POST", "/async-function/once", b"other", Idempotency_Key="k1")
        assert other.status == 422
        assert ids[0] != await stack.submit("once", b"other", Idempotency_Key="k2")
    assert [body for _, body in stack.edge.seen["once"]].count(b"same") == 1


async def test_calls_are_listed_newest_first(stack: Stack) -> None:
    """Queued ones from the queue, others from the record; filtered by function and state."""
    stack.provider.functions |= {"one": QUICK, "two": QUICK}
    async with stack.running(worker=False):
        first = await stack.submit("one")
        second = await stack.submit("two")
        listed = json.loads((await stack.call("GET", "/system/calls")).body)
        assert [(call["call_id"], call["state"]) for call in listed] == [(second, "queued"), (first, "queued")]
        stack.worker.start()
        await in_state(stack, first, "succeeded")
        await in_state(stack, second, "succeeded")
        listed = json.loads((await stack.call("GET", "/system/calls?function=one&state=succeeded&limit=5")).body)
        assert [call["call_id"] for call in listed] == [first]
