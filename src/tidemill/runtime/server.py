"""The function server as a WSGI application: the watchdog's endpoints, limits, ids and records around the handler.

A call: is it one of ours (`/_/health`, `/_/ready`, `/_/metrics`)? → at the limit? 429 → ids bound → handler, within
the caller's own limit where there is one → `X-Duration-Seconds` → log line and metrics when the last byte is out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

from tidemill.contract import headers
from tidemill.contract.workload import HEALTH_PATH, METRICS_PATH, READY_PATH
from tidemill.lib import correlation, log
from tidemill.runtime.answers import (
    Answer,
    CallTimedOut,
    FunctionResponse,
    HandlerFailed,
    ask,
    at_limit,
    error_answer,
)
from tidemill.runtime.call_line import write_call_line
from tidemill.runtime.calls import AtLimit, Calls, Running
from tidemill.runtime.deadline import DeadlinePassed, caller_limit_s, run_within
from tidemill.runtime.metrics import TEXT_FORMAT, CallMetrics

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
"""Labels of metrics; a caller must not make new ones up."""

_log = log.get_logger("fn")


class FunctionServer:
    """The WSGI application of one replica. `draining` is set by whoever stops it."""

    def __init__(self, app: WSGIApplication, calls: Calls, *, ref: str, exec_timeout_s: float = 30.0) -> None:
        self.draining = False
        self._app = app
        self._calls = calls
        self._ref = ref
        self._exec_timeout_s = exec_timeout_s
        self._metrics = CallMetrics(lambda: len(calls))
        self._own: dict[str, Callable[[], FunctionResponse]] = {
            HEALTH_PATH: lambda: _text("OK"),
            READY_PATH: self._ready,
            METRICS_PATH: lambda: FunctionResponse(self._metrics.render(), content_type=TEXT_FORMAT),
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        own = self._own.get(environ["PATH_INFO"])
        if own is not None:
            answer = own() if environ["REQUEST_METHOD"] in ("GET", "HEAD") else _text("GET only", 405)
            return answer(environ, start_response)
        call = correlation.from_values(
            call_id=environ.get("HTTP_X_CALL_ID", ""),
            correlation_id=environ.get("HTTP_X_CORRELATION_ID", ""),
            traceparent=environ.get("HTTP_TRACEPARENT", ""),
            attempt=environ.get("HTTP_X_TIDEMILL_ATTEMPT", ""),
            function=self._ref,
        )
        try:
            running = self._calls.begin(call)
        except AtLimit as limit:
            return at_limit(limit)(environ, start_response)
        with correlation.bind(call):
            return self._serve(running, environ, start_response)

    def _serve(self, running: Running, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        limit_s = caller_limit_s(environ.get("HTTP_X_TIMEOUT"), self._exec_timeout_s)
        end = partial(self._end, running, environ)
        try:
            if limit_s is None:
                answer = ask(self._app, environ)
            else:
                answer = run_within(limit_s, partial(ask, self._app, environ), when_late=partial(self._late, running))
        except DeadlinePassed:
            end = partial(self._record, running, environ)
            answer = ask(error_answer(CallTimedOut(f"no answer within the caller's limit of {limit_s:g} s")), environ)
        except BaseException as error:
            _log.error("handler failed")
            answer = ask(error_answer(HandlerFailed(f"the function raised {type(error).__name__}")), environ)
        answer.headers.append((headers.DURATION, f"{time.monotonic() - running.since:.6f}"))
        start_response(answer.status, answer.headers)
        if isinstance(answer.body, list):
            end(answer.code, sum(map(len, answer.body)))
            return answer.body
        return _Stream(answer, running, end, limit_s=self._exec_timeout_s)

    def _late(self, running: Running, outcome: Future[Answer]) -> None:
        """The handler of a call that was answered 504 has come to its end."""
        self._calls.end(running)
        if outcome.exception() is None:
            _close(outcome.result().body)

    def _end(self, running: Running, environ: WSGIEnvironment, status: int, size_bytes: int) -> None:
        self._calls.end(running)
        self._record(running, environ, status, size_bytes)

    def _record(self, running: Running, environ: WSGIEnvironment, status: int, size_bytes: int) -> None:
        duration_s = time.monotonic() - running.since
        method = environ["REQUEST_METHOD"]
        self._metrics.observe(status, method if method in METHODS else "OTHER", duration_s)
        write_call_line(
            running.call,
            method=method,
            path=environ["PATH_INFO"],
            status=status,
            size_bytes=size_bytes,
            duration_s=duration_s,
        )

    def _ready(self) -> FunctionResponse:
        if self.draining:
            return _text("draining", 503)
        if self._calls.full:
            return _text("at the limit of max_inflight", 429)
        return _text("OK")


class _Stream:
    """A body that is sent while it is made: its chunks see the call's ids, and the call ends with the last one, with
    the client, with an exception, or with the first chunk after `limit_s`."""

    def __init__(self, answer: Answer, running: Running, end: Callable[[int, int], None], *, limit_s: float) -> None:
        self._answer = answer
        self._chunks = iter(answer.body)
        self._call = running.call
        self._latest = running.since + limit_s
        self._limit_s = limit_s
        self._end: Callable[[int, int], None] | None = end
        self._sent_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with correlation.bind(self._call):
            try:
                chunk = next(self._chunks)
                if time.monotonic() > self._latest:
                    raise DeadlinePassed(f"the stream is past exec_timeout ({self._limit_s:g} s)")
            except StopIteration:
                self.close()
                raise
            except BaseException:
                _log.error("stream broke off")
                self.close()
                raise
        self._sent_bytes += len(chunk)
        return chunk

    def close(self) -> None:
        end, self._end = self._end, None
        if end is None:
            return
        with correlation.bind(self._call):
            try:
                _close(self._answer.body)
            finally:
                end(self._answer.code, self._sent_bytes)


def _text(text: str, status: int = 200) -> FunctionResponse:
    return FunctionResponse(f"{text}\n", status, mimetype="text/plain")


def _close(body: Any) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()
