"""Calls on a slot's socket, as the edge makes them, against a real spawner."""

from __future__ import annotations

import asyncio
import os
import time

import httpx
import pytest

from tests.integration.spawner.conftest import HELLO, Functions, caller
from tests.support.waiting import eventually, wait_until


async def test_connection_to_an_idle_slot_is_answered_by_a_fork(functions: Functions) -> None:
    """Nobody asked for a replica: the first connection makes one, and the caller only sees the answer."""
    slot = await functions.put(HELLO)
    assert slot.state == "idle" and slot.pid is None
    async with caller(slot) as http:
        answer = await http.get("/")
    assert (answer.status_code, answer.text) == (200, "hello")
    after = await functions.ready(slot)
    assert after.memory_bytes and after.cpu_seconds is not None and after.started_at


async def test_put_again_changes_nothing_and_adds_slots(functions: Functions) -> None:
    """Asking again keeps sockets and replicas; a larger number of slots adds some."""
    spec = functions.spec(HELLO)
    (first,) = await functions.client.put(spec, 1)
    started = await functions.start(first)
    again, added = await functions.client.put(spec, 2)
    assert again.pid == started.pid
    assert added.slot == 1 and added.state == "idle" and added.socket != again.socket
    assert len(await functions.client.put(spec, 1)) == 2


async def test_flask_template_and_raw_body(functions: Functions) -> None:
    """python3-flask hands over text, or bytes where RAW_BODY says so."""
    code = "def handle(req):\n    return type(req).__name__\n"
    text = await functions.put(code, kind="python3-flask")
    raw = await functions.put(code, kind="python3-flask", environ={"RAW_BODY": "true"})
    async with caller(text) as http:
        assert (await http.post("/", content=b"x")).text == "str"
    async with caller(raw) as http:
        assert (await http.post("/", content=b"x")).text == "bytes"


async def test_request_arrives_as_it_was_sent(functions: Functions) -> None:
    """Percent-encoded path, query, repeated headers and cookies, as the template's server gives them."""
    slot = await functions.put(
        """
        from flask import request

        def handle(event, context):
            return {"body": {
                "path": event.path, "query": event.query.to_dict(flat=False), "cookies": request.cookies,
                "many": event.headers.get("X-Many"), "host": event.headers.get("Host"),
                "raw": request.query_string.decode(),
            }}
        """
    )
    async with caller(slot) as http:
        answer = await http.get(
            "/a%20b/%C3%BC%2Fx?q=%C3%BC&q=2&empty=",
            headers=[("X-Many", "1"), ("X-Many", "2"), ("Cookie", "a=b; c=d")],
        )
    assert answer.json() == {
        "path": "/a b/ü/x",
        "query": {"q": ["ü", "2"], "empty": [""]},
        "cookies": {"a": "b", "c": "d"},
        "many": "1,2",
        "host": "function",
        "raw": "q=%C3%BC&q=2&empty=",
    }


@pytest.mark.parametrize("chunked", [False, True])
async def test_large_bodies_both_ways(functions: Functions, chunked: bool) -> None:
    """A body far over a pipe's or a socket's buffer arrives and comes back whole."""
    slot = await functions.put(
        'def handle(event, context):\n    return {"body": event.body, "headers": {"X-Size": str(len(event.body))}}\n'
    )
    body = os.urandom(3_000_001)

    async def chunks() -> object:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    async with caller(slot) as http:
        answer = await http.post("/", content=chunks() if chunked else body)  # type: ignore[arg-type]
    assert answer.headers["X-Size"] == str(len(body))
    assert answer.content == body


@pytest.mark.parametrize("chunked", [False, True])
async def test_body_over_the_limit_is_refused(functions: Functions, chunked: bool) -> None:
    """413, also where no Content-Length announces it; a delivery of the queue's has been measured by the door."""
    slot = await functions.put(HELLO, max_body_bytes=1000)

    async def chunks() -> object:
        for _ in range(3):
            yield b"x" * 500

    content = chunks() if chunked else b"x" * 1500
    async with caller(slot) as http:
        answer = await http.post("/", content=content)  # type: ignore[arg-type]
        assert answer.status_code == 413
        assert answer.json()["code"] == "too_large"
        assert answer.headers["X-OpenFaaS-Internal"] == "runtime"
        from_queue = await http.post("/", content=b"x" * 1500, headers={"X-Tidemill-Attempt": "1"})
    assert from_queue.status_code == 200


async def test_event_stream_arrives_piece_by_piece_and_blocks_nobody(functions: Functions) -> None:
    """With one handler thread, a stream that is open does not hold up another call."""
    slot = await functions.put(
        """
        import threading
        from flask import Response
        go_on = threading.Event()

        def handle(event, context):
            if event.path == "/go":
                go_on.set()
                return "went"
            def events():
                yield "data: one\\n\\n"
                go_on.wait(20)
                yield "data: two\\n\\n"
            return Response(events(), mimetype="text/event-stream")
        """
    )
    async with caller(slot) as http, http.stream("GET", "/") as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == "data: one"
        assert (await http.get("/go")).text == "went"
        assert [line async for line in lines if line] == ["data: two"]


async def test_function_that_calls_itself(functions: Functions) -> None:
    """A chain of calls through one slot with one thread does not deadlock."""
    slot = await functions.put(
        """
        import http.client, os, socket

        def handle(event, context):
            depth = int(event.query["depth"])
            if depth == 0:
                return "bottom"
            connection = http.client.HTTPConnection("function")
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(os.environ["OWN_SOCKET"])
            connection.request("GET", f"/?depth={depth - 1}")
            return connection.getresponse().read().decode()
        """,
        environ={"OWN_SOCKET": "filled in below"},
    )
    spec = functions.spec(
        (functions.folder / slot.ref.split(".")[0] / slot.version / "function/handler.py")
        .read_text()
        .replace('os.environ["OWN_SOCKET"]', "open(os.environ['SOCKET_FILE']).read()"),
        environ={"SOCKET_FILE": str(functions.folder / "socket")},
    )
    (slot,) = await functions.client.put(spec, 1)
    (functions.folder / "socket").write_text(slot.socket)
    async with caller(slot) as http:
        assert (await http.get("/?depth=5")).text == "bottom"


async def test_max_inflight_answers_429_and_keeps_health(functions: Functions) -> None:
    """The call over the limit gets 429 at once, with the limit's name; the health checks still answer."""
    slot = await functions.put(
        """
        import threading
        go_on = threading.Event()

        def handle(event, context):
            go_on.wait(20)
            return "done"

        def release():
            go_on.set()
        """,
        max_inflight=2,
        threads=2,
    )
    async with caller(slot) as http:
        calls = [asyncio.create_task(http.get("/", headers={"X-Timeout": "2s"})) for _ in range(2)]

        async def full() -> bool:
            return (await http.get("/_/ready")).status_code == 429

        await eventually(full, "both calls are in hand")
        refused = await http.get("/")
        assert refused.status_code == 429
        assert "limit of 2" in refused.text and refused.headers["content-type"].startswith("text/plain")
        assert refused.headers["X-OpenFaaS-Internal"] == "faas-middleware"
        assert refused.headers["Retry-After"] == "1"
        assert (await http.get("/_/health")).status_code == 200
        assert "http_requests_in_flight 2.0" in (await http.get("/_/metrics")).text
        assert {call.status_code for call in await asyncio.gather(*calls)} == {504}


async def test_callers_own_limit(functions: Functions) -> None:
    """X-Timeout shortens: 504 of the platform's at the limit, and in time the handler's answer."""
    slot = await functions.put(
        """
        import time

        def handle(event, context):
            time.sleep(float(event.query["s"]))
            return {"body": {"slept": True}, "statusCode": 201}
        """
    )
    async with caller(slot) as http:
        late = await http.get("/?s=2", headers={"X-Timeout": "100ms", "X-Call-Id": "late-one"})
        assert late.status_code == 504
        assert late.json() == {
            "error": "no answer within the caller's limit of 0.1 s",
            "code": "timeout",
            "call_id": "late-one",
        }
        assert late.headers["X-OpenFaaS-Internal"] == "runtime"
        in_time = await http.get("/?s=0", headers={"X-Timeout": "10s"})
        assert (in_time.status_code, in_time.json()) == (201, {"slept": True})


async def test_call_past_exec_timeout_costs_only_itself(functions: Functions) -> None:
    """The replica with the stuck call accepts no more and goes; another takes the slot, and the log says why."""
    slot = await functions.put(
        """
        import os, time

        def handle(event, context):
            if event.path == "/stuck":
                time.sleep(60)
            return str(os.getpid())
        """,
        exec_timeout_s=0.3,
        grace_s=1.0,
    )
    started = await functions.start(slot)
    async with caller(slot) as http:
        stuck = asyncio.create_task(http.get("/stuck", headers={"X-Call-Id": "stuck-one"}))

        async def replaced() -> bool:
            return (await functions.now(slot)).restarts == 1

        await eventually(replaced, "the replica has left its slot")
        with pytest.raises(httpx.TransportError):
            await stuck
    async with caller(slot) as http:
        assert (await http.get("/")).text != str(started.pid)
    assert (await functions.ready(slot)).pid != started.pid
    line = wait_until(lambda: functions.line(slot, "call past exec_timeout"), "the log names the call")
    assert line["call_id"] == "stuck-one"


async def test_two_versions_side_by_side(functions: Functions) -> None:
    """Each version has sockets of its own; dropping one leaves the other as it is."""
    old = await functions.put('def handle(e, c):\n    return "old"\n', name="both", version="000000000001")
    new = await functions.put('def handle(e, c):\n    return "new"\n', name="both", version="000000000002")
    for slot, text in ((old, "old"), (new, "new"), (old, "old")):
        async with caller(slot) as http:
            assert (await http.get("/")).text == text
    await functions.client.drop(old.ref, old.version)
    async with caller(new) as http:
        assert (await http.get("/")).text == "new"
    with pytest.raises(httpx.ConnectError):
        async with caller(old) as http:
            await http.get("/")


async def test_stop_and_drop_finish_calls_first(functions: Functions) -> None:
    """A replica that is stopped finishes what it has; the socket stays and the next call forks anew."""
    slot = await functions.put(
        """
        import os, time

        def handle(event, context):
            time.sleep(float(event.query.get("s", 0)))
            return str(os.getpid())
        """
    )
    started = await functions.start(slot)
    async with caller(slot) as http:
        call = asyncio.create_task(http.get("/?s=0.5"))

        async def taken() -> bool:
            return "http_requests_in_flight 1.0" in (await http.get("/_/metrics")).text

        await eventually(taken, "the call is in hand")
        stopped = await functions.client.stop(slot.ref, slot.version, 0)
        assert (await call).text == str(started.pid)
    assert (stopped.state, stopped.pid, stopped.restarts) == ("idle", None, 0)
    async with caller(slot) as http:
        assert (await http.get("/")).text != str(started.pid)


async def test_grace_is_bounded(functions: Functions) -> None:
    """A call that does not end in the grace is cut off."""
    slot = await functions.put("import time\ndef handle(e, c):\n    time.sleep(60)\n", grace_s=0.2)
    async with caller(slot) as http:
        call = asyncio.create_task(http.get("/"))

        async def started() -> bool:
            return (await functions.now(slot)).state == "ready"

        await eventually(started, "the replica runs")
        before = time.monotonic()
        await functions.client.drop(slot.ref, slot.version)
        assert time.monotonic() - before < 20
        with pytest.raises(httpx.TransportError):
            await call
