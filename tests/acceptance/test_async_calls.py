"""Calls that are answered 202: run once, followed by their id, retried, buried and dug out again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.calls import ended, state_of, submit
from tests.support.command import tidemill
from tests.support.functions import Functions
from tests.support.platform import Platform
from tests.support.waiting import wait_until

pytestmark = pytest.mark.stack

QUICK_RETRIES = {
    "com.openfaas.retry.attempts": "3",
    "com.openfaas.retry.min_wait": "20ms",
    "com.openfaas.retry.max_wait": "100ms",
}
ECHO = "def handle(event, context):\n    return {'statusCode': 200, 'body': event.body}\n"
COUNTING = """\
from pathlib import Path

def handle(event, context):
    with Path("ran").open("a") as ran:
        ran.write(event.headers["X-Call-Id"] + "\\n")
    return {"statusCode": 200, "body": Path("ran").read_text()}
"""
"""One replica, one working directory: what it answers is every run there was."""
BROKEN_UNTIL = """\
from pathlib import Path

def handle(event, context):
    if event.method == "PUT":
        Path("mended").touch()
        return {"statusCode": 200, "body": ""}
    if not Path("mended").exists():
        return {"statusCode": 500, "body": "not yet"}
    return {"statusCode": 200, "body": event.body}
"""
ONE_REPLICA = {"com.openfaas.scale.max": "1"}


def test_the_answer_is_had_by_the_calls_id(functions: Functions, http: httpx.Client) -> None:
    """Method, path, query, headers and body reach the function; its answer comes back as it was."""
    code = (
        "def handle(event, context):\n"
        '    told = f\'{event.method} {event.path} {event.query["q"]} {event.headers["X-Mine"]}\'\n'
        "    return {'statusCode': 201, 'body': told, 'headers': {'Content-Type': 'text/x-told'}}\n"
    )
    name = functions.deploy("later", code)
    queued = http.post(
        f"/async-function/{name}/some/where", params={"q": "1"}, content=b"x", headers={"X-Mine": "me"}
    )
    assert (queued.status_code, queued.content) == (202, b"")
    call_id = queued.headers["X-Call-Id"]
    assert queued.headers["X-Start-Time"].isdigit()
    assert queued.headers["Location"] == f"/async-function/{call_id}"
    state = ended(http, call_id)
    assert (state["state"], [attempt["number"] for attempt in state["attempts"]]) == ("succeeded", [1])
    result = http.get(f"/async-function/{call_id}/result")
    assert (result.status_code, result.text) == (201, "POST /some/where 1 me")
    assert result.headers["Content-Type"] == "text/x-told"
    assert http.get(f"/async-function/{uuid4()}").status_code == 404


def test_an_idempotency_key_is_one_call(functions: Functions, http: httpx.Client) -> None:
    """Many at once and again after the end: one id and one run. Another body under the key is refused."""
    name = functions.deploy("keyed", COUNTING, labels=ONE_REPLICA)
    key = uuid4().hex
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: submit(http, name, "same", Idempotency_Key=key), range(16)))
    assert len(set(ids)) == 1
    assert ended(http, ids[0])["state"] == "succeeded"
    assert submit(http, name, "same", Idempotency_Key=key) == ids[0]
    other = http.post(f"/async-function/{name}", content="other", headers={"Idempotency-Key": key})
    assert (other.status_code, other.json()["code"]) == (422, "unprocessable")
    last = submit(http, name, "same")
    assert ended(http, last)["state"] == "succeeded"
    assert http.get(f"/async-function/{last}/result").text.split() == [ids[0], last]


def test_a_body_too_large_for_a_message(functions: Functions, http: httpx.Client) -> None:
    """A megabyte each way, by claim check: the same bytes come back."""
    name = functions.deploy("large", ECHO)
    body = bytes(range(256)) * 4096
    call_id = submit(http, name, body)
    assert ended(http, call_id)["state"] == "succeeded"
    assert http.get(f"/async-function/{call_id}/result").content == body


def test_a_call_that_keeps_failing_is_buried_and_can_be_redriven(
    stack: Platform, functions: Functions, http: httpx.Client
) -> None:
    """Three attempts, then a dead letter with reason, attempts and payload; mended and redriven by the command, it
    succeeds under the same id and is dead no more."""
    name = functions.deploy("mendable", BROKEN_UNTIL, annotations=QUICK_RETRIES, labels=ONE_REPLICA)
    call_id = submit(http, name, "precious")
    state = ended(http, call_id)
    assert (state["state"], [attempt["status"] for attempt in state["attempts"]]) == ("dead", [500, 500, 500])
    shown = tidemill(stack.settings, "dead", "show", call_id, "--json").json
    assert (shown["code"], len(shown["attempts"])) == ("attempts_used_up", 3)
    assert "not yet" in shown["reason"]
    assert shown["payload"] == "cHJlY2lvdXM="

    assert http.put(f"/function/{name}").status_code == 200
    assert tidemill(stack.settings, "dead", "redrive", call_id).code == 0
    wait_until(lambda: state_of(http, call_id)["state"] == "succeeded", "the call succeeds")
    assert http.get(f"/async-function/{call_id}/result").text == "precious"
    assert stack.client.get(f"/system/dead-letters/{call_id}").status_code == 404


def test_what_cannot_succeed_is_tried_once(functions: Functions, http: httpx.Client) -> None:
    """The function says that the input is wrong: no second attempt."""
    name = functions.deploy("refusing", "def handle(event, context):\n    return {'statusCode': 422, 'body': 'no'}\n")
    state = ended(http, submit(http, name))
    assert (state["state"], len(state["attempts"])) == ("dead", 1)


def test_a_removed_functions_calls_become_dead_letters(
    stack: Platform, functions: Functions, http: httpx.Client
) -> None:
    """What still waited is not lost without a word."""
    waiting = {**QUICK_RETRIES, "com.openfaas.retry.min_wait": "60s", "com.openfaas.retry.max_wait": "60s"}
    name = functions.deploy("leaving", BROKEN_UNTIL, annotations=waiting)
    call_id = submit(http, name)
    wait_until(lambda: state_of(http, call_id)["state"] == "retrying", "the first attempt failed")
    stack.remove(name)
    wait_until(lambda: state_of(http, call_id)["state"] == "dead", "the call is dead", timeout_s=60)
    assert stack.client.get(f"/system/dead-letters/{call_id}").json()["code"] == "function_removed"


@pytest.fixture
def caller() -> Iterator[tuple[str, Queue[dict[str, Any]]]]:
    """Somebody's own server that waits to be called back: its URL, and what came."""
    heard: Queue[dict[str, Any]] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            heard.put({"body": body, **{name.lower(): value for name, value in self.headers.items()}})
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/back", heard
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_callback_to_another_function(functions: Functions, http: httpx.Client, stack: Platform) -> None:
    """The gateway's own address is allowed: body, headers and the ids of the call arrive."""
    code = (
        "import json\n"
        "from pathlib import Path\n\n"
        "def handle(event, context):\n"
        "    if event.method == 'POST':\n"
        "        told = {'body': event.body.decode(), **{k.lower(): v for k, v in event.headers.items()}}\n"
        "        Path('heard').write_text(json.dumps(told))\n"
        "        return ''\n"
        "    return Path('heard').read_text() if Path('heard').exists() else ''\n"
    )
    name, listener = functions.deploy("worker-of-it", ECHO), functions.deploy("listener", code, labels=ONE_REPLICA)
    call_id = submit(http, name, "the answer", X_Callback_Url=f"{stack.url}/function/{listener}")
    wait_until(lambda: http.get(f"/function/{listener}").text, "the callback came")
    heard = http.get(f"/function/{listener}").json()
    assert (heard["body"], heard["x-call-id"], heard["x-function-status"]) == ("the answer", call_id, "200")
    assert heard["x-function-name"].startswith(name)


def test_a_callback_into_the_private_network_is_refused(
    functions: Functions, http: httpx.Client, caller: tuple[str, Queue[dict[str, Any]]]
) -> None:
    """A caller from outside must not make the platform knock at its own neighbours' doors."""
    url, heard = caller
    name = functions.deploy("called-back", ECHO)
    answer = http.post(f"/async-function/{name}", content="x", headers={"X-Callback-Url": url})
    if answer.status_code == 202:  # told later, when the name is resolved
        assert ended(http, answer.headers["X-Call-Id"])["state"] == "succeeded"
    else:
        assert answer.status_code == 400
    assert heard.empty()
    assert http.post(f"/async-function/{name}", headers={"X-Callback-Url": "no url"}).status_code == 400


def test_a_call_longer_than_any_lease_runs_once(functions: Functions, http: httpx.Client) -> None:
    """While it runs its lease is extended: nobody takes it a second time. Others overtake it meanwhile."""
    code = (
        "import time\n"
        "from pathlib import Path\n\n"
        "def handle(event, context):\n"
        "    with Path('runs').open('a') as runs:\n"
        "        runs.write('x')\n"
        "    time.sleep(float(event.body))\n"
        "    return Path('runs').read_text()\n"
    )
    environment = {"exec_timeout": "60s", "max_inflight": "4"}
    name = functions.deploy("long", code, envVars=environment, labels=ONE_REPLICA)
    call_id = submit(http, name, "20")
    quick = ended(http, submit(http, name, "0"))
    assert quick["state"] == "succeeded"
    assert state_of(http, call_id)["state"] == "running"
    state = ended(http, call_id, timeout_s=60)
    assert (state["state"], len(state["attempts"])) == ("succeeded", 1)
    assert http.get(f"/async-function/{call_id}/result").text == "xx"


def test_invoke_waits_for_the_result(functions: Functions, stack: Platform) -> None:
    """`tidemill invoke --wait`: queued, followed, printed."""
    name = functions.deploy("waited-for", ECHO)
    done = tidemill(stack.settings, "invoke", name, "--wait", "--data", "hello")
    assert (done.code, done.out.strip()) == (0, "hello")
