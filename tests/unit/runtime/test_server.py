"""The function server around a handler: its own endpoints, limits, ids and records."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import flask
import pytest

from tests.support.waiting import wait_until
from tests.unit.runtime.conftest import Log, Serve
from tidemill.lib.correlation import current
from tidemill.runtime.deadline import DeadlinePassed


def hello(event: Any, context: Any) -> str:
    return "hello"


def test_health_and_readiness(serve: Serve) -> None:
    """Healthy as long as it answers; ready unless it drains; both are for GET only, and no calls of the function."""
    served = serve(hello)
    assert served.http.get("/_/health").status_code == 200
    assert served.http.get("/_/ready").status_code == 200
    assert served.http.post("/_/health").status_code == 405
    served.server.draining = True
    assert served.http.get("/_/ready").status_code == 503
    assert served.http.get("/").status_code == 200, "what still arrives is served"


def test_metrics_have_the_watchdogs_names(serve: Serve) -> None:
    """Counted by code and method; a method that somebody invents makes no new series."""
    served = serve(hello)
    for method in ("GET", "GET", "BREW"):
        served.http.open("/", method=method)
    text = served.http.get("/_/metrics").text
    assert 'http_requests_total{code="200",method="GET"} 2.0' in text
    assert 'http_request_duration_seconds_count{code="200",method="OTHER"} 1.0' in text
    assert "http_requests_in_flight 0.0" in text


def test_every_answer_of_a_function_has_its_duration(serve: Serve) -> None:
    """Seconds with six decimals."""
    value = serve(hello).http.get("/").headers["X-Duration-Seconds"]
    assert len(value.split(".")[1]) == 6 and 0 <= float(value) < 60


def test_call_is_logged_once_with_its_ids(serve: Serve, log: Log) -> None:
    """One summary line: who, what, how long; the handler sees the same ids."""
    seen = []

    def handle(event: Any, context: Any) -> Any:
        seen.append(current())
        return {"statusCode": 404, "body": "no"}

    headers = {
        "X-Call-Id": "c-1",
        "X-Correlation-Id": "u-1",
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
        "X-Tidemill-Attempt": "3",
    }
    serve(handle).http.post("/x?secret=1", headers=headers)
    (line,) = log.events("call")
    assert seen[0].call_id == "c-1" and seen[0].function == "f.ns"
    assert {key: line[key] for key in ("call_id", "correlation_id", "trace_id", "attempt", "function")} == {
        "call_id": "c-1",
        "correlation_id": "u-1",
        "trace_id": "a" * 32,
        "attempt": 3,
        "function": "f.ns",
    }
    assert (line["source"], line["method"], line["path"], line["status"], line["size_bytes"]) == (
        "fn",
        "POST",
        "/x",
        404,
        2,
    )
    assert line["duration_s"] >= 0
    assert current().call_id == ""


def test_stream_is_one_call_until_its_last_piece(serve: Serve, log: Log) -> None:
    """Pieces see the ids; the record and the end of the call come with the last one."""
    seen = []

    def handle(event: Any, context: Any) -> Any:
        def pieces() -> Iterator[str]:
            for piece in ("one", "two"):
                seen.append(current().call_id)
                yield piece

        return flask.Response(pieces(), mimetype="text/event-stream")

    served = serve(handle)
    answer = served.http.get("/", headers={"X-Call-Id": "c-1"}, buffered=False)
    pieces = iter(answer.response)
    assert next(pieces) == b"one"
    assert len(served.calls) == 1 and not log.events("call")
    assert list(pieces) == [b"two"]
    assert len(served.calls) == 0 and seen == ["c-1", "c-1"]
    assert log.events("call")[0]["size_bytes"] == 6
    answer.close()
    assert len(log.events("call")) == 1


def test_client_that_leaves_ends_the_call(serve: Serve) -> None:
    """The generator is closed, and the call is no longer in hand, even if not one piece was read."""
    closed = []

    def handle(event: Any, context: Any) -> Any:
        def pieces() -> Iterator[str]:
            try:
                yield "one"
                yield "two"
            finally:
                closed.append(True)

        return flask.Response(pieces())

    served = serve(handle)
    answer = served.http.get("/", buffered=False)
    assert next(iter(answer.response)) == b"one"
    answer.close()
    assert closed == [True] and len(served.calls) == 0
    served.http.get("/", buffered=False).close()
    assert len(served.calls) == 0


def test_stream_that_breaks_is_logged(serve: Serve, log: Log) -> None:
    """An exception after the head is out cannot become a 500; the log has it under the call's id."""

    def handle(event: Any, context: Any) -> Any:
        def pieces() -> Iterator[str]:
            yield "one"
            raise OSError("the source is gone")

        return flask.Response(pieces())

    served = serve(handle)
    with pytest.raises(OSError, match="the source is gone"):
        served.http.get("/", headers={"X-Call-Id": "c-1"}, buffered=True)
    assert len(served.calls) == 0
    assert log.events("stream broke off")[0]["call_id"] == "c-1"


def test_stream_past_exec_timeout_ends(serve: Serve, log: Log) -> None:
    """The limit holds for a stream as a whole; only the stream ends, not the replica."""

    def handle(event: Any, context: Any) -> Any:
        return flask.Response(iter(lambda: "tick", None))

    served = serve(handle, exec_timeout_s=0.05)
    with pytest.raises(DeadlinePassed):
        served.http.get("/", buffered=True)
    assert len(served.calls) == 0
    assert "past exec_timeout (0.05 s)" in log.events("stream broke off")[0]["error"]


def test_call_over_max_inflight_is_refused(serve: Serve) -> None:
    """429 as of-watchdog answers it; in the next moment there is room again."""
    inside, go_on = threading.Event(), threading.Event()

    def handle(event: Any, context: Any) -> str:
        inside.set()
        go_on.wait(20)
        return "done"

    served = serve(handle, max_inflight=1)
    first = threading.Thread(target=served.http.get, args=("/",))
    first.start()
    assert inside.wait(20)
    refused = served.http.get("/")
    assert served.http.get("/_/ready").status_code == 429
    go_on.set()
    first.join()
    assert refused.status_code == 429 and "limit of 1 calls" in refused.text
    assert refused.headers["X-OpenFaaS-Internal"] == "faas-middleware"
    assert served.http.get("/").status_code == 200


def test_callers_limit_leaves_the_call_in_hand(serve: Serve, log: Log) -> None:
    """504 at the limit; the handler goes on and still counts until it ends, but is recorded once."""
    go_on = threading.Event()

    def handle(event: Any, context: Any) -> str:
        go_on.wait(20)
        return "too late"

    served = serve(handle)
    answer = served.http.get("/", headers={"X-Timeout": "10ms"})
    assert answer.status_code == 504
    assert answer.headers["X-OpenFaaS-Internal"] == "runtime"
    assert len(served.calls) == 1
    go_on.set()
    wait_until(lambda: len(served.calls) == 0, "the handler has ended")
    assert [line["status"] for line in log.events("call")] == [504]


@pytest.mark.parametrize("text", ["", "nonsense", "0s", "-1s", "10h"])
def test_limit_that_shortens_nothing_is_none(serve: Serve, text: str) -> None:
    """What is no duration, or beyond exec_timeout, changes nothing."""
    assert serve(hello).http.get("/", headers={"X-Timeout": text}).status_code == 200


def test_body_over_the_limit(serve: Serve) -> None:
    """413 as JSON before the handler is called; exactly the limit is allowed; a delivery of the queue's is exempt."""
    bodies = []

    def handle(event: Any, context: Any) -> str:
        bodies.append(len(event.body))
        return "ok"

    http = serve(handle, max_body=10).http
    refused = http.post("/", data=b"x" * 11)
    assert refused.status_code == 413 and "limit of 10 bytes" in refused.get_json()["error"]
    assert http.post("/", data=b"x" * 10).status_code == 200
    assert http.post("/", data=b"x" * 11, headers={"X-Tidemill-Attempt": "1"}).status_code == 200
    assert bodies == [10, 11]


@pytest.mark.parametrize(
    ("answer", "status", "body", "length"),
    [
        ("text", 200, b"text", "4"),
        (b"bytes", 200, b"bytes", "5"),
        ("", 200, b"", "0"),
        (("gone", 410), 410, b"gone", "4"),
        (("nobody sees this", 204), 204, b"", None),
        (("nobody sees this", 304), 304, b"", None),
        (flask.Response(["two ", "pieces"]), 200, b"two pieces", "10"),
    ],
)
def test_answers_leave_as_http_wants_them(
    serve: Serve, answer: Any, status: int, body: bytes, length: str | None
) -> None:
    """The short way of an ordinary answer and werkzeug's own agree on length and body."""
    served = serve(lambda event, context: answer)
    got = served.http.get("/")
    assert (got.status_code, got.data, got.headers.get("Content-Length")) == (status, body, length)
    if status not in (204, 304):
        assert served.http.head("/").data == b""


def test_callbacks_of_an_answer_run_once(serve: Serve) -> None:
    """What a handler hangs on its answer with `call_on_close` happens."""
    closed = []

    def handle(event: Any, context: Any) -> Any:
        answer = flask.current_app.make_response("text")
        answer.call_on_close(lambda: closed.append(True))
        return answer

    assert serve(handle).http.get("/").data == b"text"
    assert closed == [True]
