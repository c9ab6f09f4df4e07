"""How functions are served: scaled to nothing, updated under load, limited, streamed."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.calls import ended, submit
from tests.support.command import tidemill
from tests.support.functions import Functions
from tests.support.platform import Platform
from tests.support.waiting import wait_until

pytestmark = pytest.mark.stack

SLEEPING = "import time\n\ndef handle(event, context):\n    time.sleep(float(event.query['s']))\n    return 'done'\n"


def version(number: int) -> str:
    return f"def handle(event, context):\n    return {{'statusCode': 200, 'body': 'v{number}'}}\n"


def test_scaled_to_nothing_and_called(stack: Platform, functions: Functions, http: httpx.Client) -> None:
    """`tidemill scale NAME 0`: status says 0, the next call is answered all the same, also an asynchronous one."""
    name = functions.deploy("sleeper", version(1))

    def replicas() -> int:
        return int(stack.client.get(f"/system/function/{name}").json()["replicas"])

    def scale_to_nothing() -> None:
        assert tidemill(stack.settings, "scale", name, "0").code == 0
        wait_until(lambda: replicas() == 0, "no replica is left")

    scale_to_nothing()
    assert http.get(f"/function/{name}").text == "v1"
    scale_to_nothing()
    call_id = submit(http, name)
    assert ended(http, call_id)["state"] == "succeeded"
    assert http.get(f"/async-function/{call_id}/result").text == "v1"


def test_updates_under_steady_load(stack: Platform, functions: Functions, http: httpx.Client) -> None:
    """Four versions while six clients call without a pause: not one failed request, and who asks after an update
    gets the new version."""
    name = functions.deploy("rolling", version(0), labels={"com.openfaas.scale.min": "2"})
    over = threading.Event()

    def client() -> list[tuple[int, str]]:
        seen = []
        with httpx.Client(base_url=stack.url, timeout=30) as mine:
            while not over.is_set():
                answer = mine.get(f"/function/{name}")
                seen.append((answer.status_code, answer.text))
        return seen

    with ThreadPoolExecutor(6) as pool:
        clients = [pool.submit(client) for _ in range(6)]
        try:
            for number in range(1, 5):
                functions.deploy(name, version(number), labels={"com.openfaas.scale.min": "2"})
                assert http.get(f"/function/{name}").text == f"v{number}"
        finally:
            over.set()
        seen = [answer for each in clients for answer in each.result()]
    assert {status for status, _ in seen} == {200}
    assert {text for _, text in seen} >= {"v1", "v4"}


def test_a_call_past_exec_timeout(functions: Functions, http: httpx.Client) -> None:
    """504 that names the function and its limit; the next call is served."""
    name = functions.deploy("stuck", SLEEPING, envVars={"exec_timeout": "500ms"})
    answer = http.get(f"/function/{name}", params={"s": "20"})
    assert (answer.status_code, answer.json()["code"]) == (504, "timeout")
    assert name in answer.json()["error"] and "exec_timeout" in answer.json()["error"]
    assert "500 ms" in answer.json()["error"]
    assert answer.headers["X-OpenFaaS-Internal"]
    assert answer.json()["call_id"] == answer.headers["X-Call-Id"]
    assert http.get(f"/function/{name}", params={"s": "0"}).text == "done"


def test_a_callers_own_limit(functions: Functions, http: httpx.Client) -> None:
    """`X-Timeout` shortens: 504 that names it, from another layer than the edge."""
    name = functions.deploy("hurried", SLEEPING)
    answer = http.get(f"/function/{name}", params={"s": "5"}, headers={"X-Timeout": "200ms"})
    assert answer.status_code == 504
    assert "0.2 s" in answer.json()["error"]


def test_beyond_max_inflight(functions: Functions, http: httpx.Client) -> None:
    """One call at a time, one replica: what cannot be queued long enough is answered 429 with Retry-After, and every
    call gets an answer."""
    name = functions.deploy(
        "narrow",
        SLEEPING,
        envVars={"max_inflight": "1", "exec_timeout": "25s"},
        labels={"com.openfaas.scale.max": "1"},
    )

    def call(_: int) -> httpx.Response:
        return http.get(f"/function/{name}", params={"s": "6"})

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(call, range(4)))
    assert {answer.status_code for answer in answers} == {200, 429}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.headers["X-OpenFaaS-Internal"]
    assert refused.json()["code"] == "too_many_requests"
    assert refused.json()["call_id"] == refused.headers["X-Call-Id"]


def test_events_arrive_one_by_one(functions: Functions, stack: Platform) -> None:
    """Server-sent events through the edge: the first is there while the function still waits for the reader."""
    code = (
        "from pathlib import Path\n"
        "import time\n"
        "from flask import Response, request\n\n"
        "def handle(req):\n"
        "    if request.method == 'POST':\n"
        "        Path('go').touch()\n"
        "        return ''\n"
        "    def events():\n"
        "        yield 'data: one\\n\\n'\n"
        "        while not Path('go').exists():\n"
        "            time.sleep(0.01)\n"
        "        yield 'data: two\\n\\n'\n"
        "    return Response(events(), mimetype='text/event-stream')\n"
    )
    name = functions.deploy("events", code, kind="python3-flask", labels={"com.openfaas.scale.max": "1"})
    url = f"{stack.url}/function/{name}"
    with httpx.Client(timeout=30) as http, http.stream("GET", url) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = (line for line in answer.iter_lines() if line)
        assert next(lines) == "data: one"
        httpx.post(url, timeout=30)
        assert next(lines) == "data: two"


def test_one_slow_reader_holds_up_nobody(functions: Functions, stack: Platform, http: httpx.Client) -> None:
    """An open stream on the only replica, and others are served beside it."""
    code = (
        "from flask import Response, request\n"
        "import time\n\n"
        "def handle(req):\n"
        "    if request.method == 'POST':\n"
        "        return 'served'\n"
        "    def events():\n"
        "        while True:\n"
        "            yield 'data: tick\\n\\n'\n"
        "            time.sleep(0.05)\n"
        "    return Response(events(), mimetype='text/event-stream')\n"
    )
    name = functions.deploy("ticking", code, kind="python3-flask", labels={"com.openfaas.scale.max": "1"})
    with httpx.Client(timeout=30) as reader, reader.stream("GET", f"{stack.url}/function/{name}") as answer:
        assert next(answer.iter_lines()) == "data: tick"
        began = time.monotonic()
        assert http.post(f"/function/{name}").text == "served"
        assert time.monotonic() - began < 9, "it waited for the edge's queue to give up"


def test_one_action_is_followed_through_every_hop(app: Platform, http: httpx.Client) -> None:
    """`tidemill logs --correlation`: the edge's line of the upload, the function's own words, the door, the worker
    and the job that it led to, in order, each with its ids."""
    correlation = "acceptance-correlation-1"
    answer = http.post(
        "/upload",
        json={"id": "acceptance-correlated", "key": "photos/none"},
        headers={"X-Correlation-Id": correlation},
    )
    assert (answer.status_code, answer.headers["X-Correlation-Id"]) == (202, correlation)
    job = answer.headers["X-Job-Call-Id"]

    def hops() -> list[dict[str, str]]:
        done = tidemill(app.settings, "logs", "--correlation", correlation, "--json")
        return [json.loads(line) for line in done.out.splitlines()] if done.code == 0 else []

    wanted = {"edge", "door", "worker", "fn"}

    def complete() -> bool:
        found = hops()
        return wanted <= {str(hop.get("source")) for hop in found} and any(
            hop.get("source") == "edge" and hop.get("function") == "process-job.openfaas-fn" for hop in found
        )

    wait_until(complete, "every hop is in the logs", timeout_s=30)
    found = hops()
    assert {hop["correlation_id"] for hop in found} == {correlation}
    assert [hop["ts"] for hop in found] == sorted(hop["ts"] for hop in found)
    assert {hop["call_id"] for hop in found} == {answer.headers["X-Call-Id"], job} | {
        hop["call_id"] for hop in found if hop.get("source") in ("edge", "door")
    }
    by_job = [hop for hop in found if hop["call_id"] == job]
    assert {hop["source"] for hop in by_job} >= {"edge", "worker", "fn"}
    assert {str(hop.get("attempt")) for hop in by_job if hop["source"] == "worker"} == {"1"}, by_job
    assert len({hop["trace_id"] for hop in found if hop.get("trace_id")}) == 1
